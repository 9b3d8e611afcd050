//! Safe, owned DPDK for the dataplane: the only crate that calls `loadlock-dpdk-sys`.
//!
//! ```text
//!  Eal::init ──► Mempool::new ──► Port::configure ──► Port::start ──► Vec<(RxQueue, TxQueue)>
//!      │                                                                    │ moved into
//!      └── run_workers(closures) ──► one pinned lcore each ◄────────────────┘
//!
//!  in a worker:   RxQueue::receive ──► Burst ──► divert (by verdict) ──► TxQueue::send
//!                                                   └──► refused Burst ──► free_all
//! ```
//!
//! What the types promise:
//! * An [`Eal`] exists once a process and stays on the thread that made it, which is the main lcore.
//! * An [`Mbuf`] has one owner. What is given to C is moved; what C didn't take comes back. Dropping frees.
//! * A queue handle exists only while its port runs, is given out once, and can't be polled by two threads.
//! * [`Mempool`]s live until the process ends, so that no mbuf ever outlives its pool.
//!
//! `receive`, `send`, `divert` and freeing neither allocate nor lock nor make a system call. It isn't for parsing frames
//! (`loadlock-packet`) nor for deciding about them (`loadlock-pipeline`). Unit tests cover the pure parts; `tests/` runs
//! DPDK itself on virtual devices without hugepages, one test a file because EAL starts once a process.

mod burst;
mod clock;
mod cpus;
mod eal;
mod errno;
mod mbuf;
mod mempool;
mod port;
mod power;
mod queue;
mod timestamp;
mod worker;

pub use burst::{Burst, MAX_BURST};
pub use clock::{TscClock, TscCycles};
pub use eal::{CoreUse, Eal, EalConfig, EalError, LogLevel, Memory, version};
pub use errno::Errno;
pub use mbuf::{Mbuf, SegmentIter};
pub use mempool::{Mempool, MempoolError};
pub use port::{
    Absence, FindPortError, Grant, Link, Port, PortConfig, PortError, PortId, PortInfo, PortStage,
    PortStats, Rss,
};
pub use power::TimedWait;
pub use queue::{QueueId, RxQueue, TxQueue};
pub use timestamp::TimestampField;
pub use worker::{LaunchError, Task, WorkerExit, WorkerOutcome, WorkerThread, Workers};
