//! Queue handles: the packet path into and out of a port.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use loadlock_dpdk_sys as sys;

use crate::{Burst, PortId};

/// The number of a queue on its port, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u16);

impl fmt::Display for QueueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What both handles hold. While one exists its port can't stop, because `lease` is counted.
#[derive(Debug)]
struct Handle {
    port: PortId,
    queue: QueueId,
    /// Never touched on the packet path; [`crate::Port::stop`] asks whether any is left.
    _lease: Arc<()>,
    /// `Send`, so that a worker can take it; not `Sync`, since DPDK's queues take one thread at a time.
    _one_thread: PhantomData<Cell<()>>,
}

/// Makes both handles of one queue pair.
pub(crate) fn pair(port: PortId, queue: QueueId, lease: &Arc<()>) -> (RxQueue, TxQueue) {
    let handle = || Handle { port, queue, _lease: Arc::clone(lease), _one_thread: PhantomData };
    (RxQueue(handle()), TxQueue(handle()))
}

/// The one handle to a receive queue of a running port.
#[derive(Debug)]
pub struct RxQueue(Handle);

impl RxQueue {
    /// Takes what has come in, up to the burst's room, appends it, and returns how many that was. Never waits.
    #[inline]
    pub fn receive(&mut self, burst: &mut Burst) -> usize {
        let spare = burst.spare();
        // SAFETY: the port runs and has this queue as long as the handle exists; `&mut self` on a handle that exists
        // once makes this thread the queue's only one; the driver writes at most `spare.len()` pointers.
        let count = unsafe {
            sys::loadlock_rx_burst(
                self.0.port.number(),
                self.0.queue.0,
                spare.as_mut_ptr(),
                spare.len() as u16,
            )
        };
        // SAFETY: the driver wrote `count` mbufs there, and gave them up.
        unsafe { burst.assume_received(usize::from(count)) };
        usize::from(count)
    }

    /// The port it belongs to.
    pub fn port(&self) -> PortId {
        self.0.port
    }

    /// Its number there.
    pub fn queue(&self) -> QueueId {
        self.0.queue
    }
}

/// The one handle to a transmit queue of a running port.
#[derive(Debug)]
pub struct TxQueue(Handle);

impl TxQueue {
    /// Gives the burst's mbufs to the driver, from the first on, and returns how many it took. The others stay in the
    /// burst, in order, at its front: send again, or free and count them. Never waits.
    #[inline]
    pub fn send(&mut self, burst: &mut Burst) -> usize {
        let owned = burst.owned();
        // SAFETY: the port runs and has this queue as long as the handle exists; `&mut self` on a handle that exists
        // once makes this thread the queue's only one; all of `owned` are live chains that this burst owns.
        let count = unsafe {
            sys::loadlock_tx_burst(
                self.0.port.number(),
                self.0.queue.0,
                owned.as_mut_ptr(),
                owned.len() as u16,
            )
        };
        burst.forget_front(usize::from(count));
        usize::from(count)
    }

    /// The port it belongs to.
    pub fn port(&self) -> PortId {
        self.0.port
    }

    /// Its number there.
    pub fn queue(&self) -> QueueId {
        self.0.queue
    }
}
