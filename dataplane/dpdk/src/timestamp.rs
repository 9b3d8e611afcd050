//! Where drivers put a frame's receive time stamp.

use loadlock_dpdk_sys as sys;

use crate::Eal;

/// The place of the receive time stamp in an mbuf and the flag that says it is filled. Look it up once, after the ports
/// are made; read with [`Mbuf::timestamp`](crate::Mbuf::timestamp).
///
/// `net_pcap` writes the capture's time in microseconds since the epoch there (not with `infinite_rx=1`).
#[derive(Clone, Copy, Debug)]
pub struct TimestampField {
    offset: u16,
    flag: u64,
}

impl TimestampField {
    /// The field, or `None` if no driver of this process has registered one.
    pub fn lookup(_eal: &Eal) -> Option<Self> {
        let (mut offset, mut flag) = (0_u16, 0_u64);
        // SAFETY: both are writable for the call, and an Eal exists: before, DPDK would grope for its shared tables.
        let status = unsafe { sys::loadlock_timestamp_lookup(&raw mut offset, &raw mut flag) };
        (status == 0).then_some(Self { offset, flag })
    }

    /// The field's byte offset; the shim has checked that 8 bytes from there lie in the mbuf.
    #[inline]
    pub(crate) fn offset(self) -> u32 {
        u32::from(self.offset)
    }

    /// The bit of `ol_flags`.
    #[inline]
    pub(crate) fn flag(self) -> u64 {
        self.flag
    }
}
