//! The mapped file: made by the dataplane, found by control.
//!
//! A lock file beside it for each side (`PATH.dataplane-lock`, `PATH.control-lock`) keeps a second process of the same
//! kind away, and tells control whether a dataplane that has stopped answering is dead. The file outlives both
//! processes: a dataplane that restarts takes the policy in force from it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loadlock_packet::SegmentId;

use crate::capture::OrderBlock;
use crate::counters::{LatencyBlock, PortBlock, WorkerBlock};
use crate::error::RegionError;
use crate::layout::{
    BYPASS_AT, Dimensions, HEADER_WORDS, HeaderWord, LAYOUT_VERSION, Layout, MAGIC,
    PORT_STATE_WORDS, RingLayout,
};
use crate::map::Map;
use crate::ring::{Cursor, Record, RingMemory};
use crate::swap::{SwapMemory, Word};
use crate::sync::{AtomicU64, Ordering, Shared};

/// The mapped region. Shared by all ends made from it; unmapped when the last goes.
pub struct Region {
    map: Map,
    layout: Layout,
    path: PathBuf,
    file_id: (u64, u64),
}

// SAFETY: the map's memory is reached only through atomics, and through `Shared` cells and policy slots whose
// protocols exclude overlapping access.
unsafe impl Sync for Region {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Region {}

/// Types that may lie in the region: any bit pattern is a value, all access is atomic or by a protocol.
///
/// # Safety
/// Holds for the implementor, whose alignment divides 128.
unsafe trait InRegion {}
// SAFETY: atomics only.
unsafe impl InRegion for AtomicU64 {}
// SAFETY: an atomic, aligned to 128.
unsafe impl InRegion for Word {}
// SAFETY: an atomic, aligned to 128.
unsafe impl InRegion for Cursor {}
// SAFETY: atomics only, aligned to 128.
unsafe impl<const WORDS: usize> InRegion for crate::counters::Block<WORDS> {}
// SAFETY: atomics only, aligned to 128.
unsafe impl InRegion for LatencyBlock {}
// SAFETY: plain words; the ring's protocol excludes overlapping access.
unsafe impl InRegion for Shared<Record> {}

/// Keeps another process of the same kind away for as long as it lives.
#[derive(Debug)]
pub struct SideLock {
    _file: File,
}

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessKind {
    /// `loadlock-dataplane`.
    Dataplane,
    /// `loadlock control`.
    Control,
}

impl ProcessKind {
    fn lock_path(self, region: &Path) -> PathBuf {
        beside(
            region,
            match self {
                ProcessKind::Dataplane => ".dataplane-lock",
                ProcessKind::Control => ".control-lock",
            },
        )
    }
}

/// The region's path with `suffix` after the whole name: `line.1` and `line.2` must not meet at `line.new`.
fn beside(region: &Path, suffix: &str) -> PathBuf {
    let mut name = region.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Rights of the files made here: the region holds the seed of the policy's hash, which is nobody else's business.
const FILE_MODE: u32 = 0o660;

impl SideLock {
    /// Takes the lock, trying for a second: control holds the dataplane's for a moment when it looks whether one lives.
    ///
    /// # Errors
    /// [`RegionError::Taken`] if another process has it; [`RegionError::Io`].
    pub fn take_patiently(region: &Path, kind: ProcessKind) -> Result<Self, RegionError> {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            match Self::take(region, kind) {
                Err(RegionError::Taken { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                result => return result,
            }
        }
    }

    /// Takes the lock, now or not at all.
    ///
    /// # Errors
    /// [`RegionError::Taken`] if another process has it; [`RegionError::Io`].
    pub fn take(region: &Path, kind: ProcessKind) -> Result<Self, RegionError> {
        let path = kind.lock_path(region);
        let io = |error| RegionError::io("open the lock file", &path, error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(RegionError::Taken { kind, lock: path }),
            Err(TryLockError::Error(error)) => Err(RegionError::io("lock", &path, error)),
        }
    }
}

impl Region {
    /// Opens the region the last dataplane left, if its layout and dimensions are these, or makes a new one in its place;
    /// a file that is no exchange stays untouched. Only the dataplane calls it, holding its [`SideLock`]. The
    /// second value says why a region that was there was replaced.
    ///
    /// # Errors
    /// [`RegionError::Io`] (no space, no rights); [`RegionError::Dimensions`]; [`RegionError::Foreign`].
    pub(crate) fn open_or_create(
        path: &Path,
        dimensions: Dimensions,
    ) -> Result<(Arc<Self>, Option<RegionError>), RegionError> {
        let layout = Layout::new(dimensions).ok_or(RegionError::Dimensions { dimensions })?;
        let unfit = match Self::attach(path) {
            Ok(old) if old.layout == layout => return Ok((old, None)),
            Ok(old) => Some(RegionError::OtherConfiguration {
                path: path.to_owned(),
                found: old.dimensions(),
                wanted: dimensions,
            }),
            Err(error @ (RegionError::Foreign { .. } | RegionError::Io { .. })) => {
                return Err(error);
            }
            Err(RegionError::Missing { .. }) => None,
            Err(unfit) => Some(unfit),
        };
        Ok((Self::create(path, layout)?, unfit))
    }

    fn create(path: &Path, layout: Layout) -> Result<Arc<Self>, RegionError> {
        let new = beside(path, ".new");
        let made = Self::create_at(&new, path, layout);
        if made.is_err() {
            // What can't be finished must not keep memory; that it can't be removed either adds nothing to the error.
            drop(std::fs::remove_file(&new));
        }
        made
    }

    /// Makes the file under the name `new`, complete, and only then gives it its place.
    fn create_at(new: &Path, path: &Path, layout: Layout) -> Result<Arc<Self>, RegionError> {
        let io = |what| move |error| RegionError::io(what, new, error);
        match std::fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(RegionError::io("remove the unfinished", new, error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .mode(FILE_MODE)
            .open(new)
            .map_err(io("create"))?;
        file.set_len(layout.total_bytes as u64).map_err(io("size"))?;
        reserve(&file, layout.total_bytes).map_err(io("reserve memory for"))?;
        let region = Self::map(&file, layout, path).map_err(io("map"))?;
        let Dimensions { workers, ports, ring_events, rule_capacity, fingerprint } =
            layout.dimensions;
        let values = [
            (HeaderWord::TotalBytes, layout.total_bytes as u64),
            (HeaderWord::Workers, workers as u64),
            (HeaderWord::Ports, ports as u64),
            (HeaderWord::RingEvents, ring_events as u64),
            (HeaderWord::RuleCapacity, rule_capacity as u64),
            (HeaderWord::Fingerprint, fingerprint),
            (HeaderWord::Instance, crate::random::word().map_err(io("draw a number for"))?),
            (HeaderWord::Version, LAYOUT_VERSION),
        ];
        for (word, value) in values {
            region.header(word).store(value, Ordering::Relaxed);
        }
        for word in region.quiescent() {
            word.mark_offline();
        }
        region.header(HeaderWord::Magic).store(MAGIC, Ordering::Release);
        std::fs::rename(new, path).map_err(io("rename"))?;
        Ok(Arc::new(region))
    }

    /// Maps an existing region and checks its header.
    ///
    /// # Errors
    /// [`RegionError::Missing`] when there is no file yet (wait for the dataplane), [`RegionError::Foreign`],
    /// [`RegionError::Version`], [`RegionError::Size`], [`RegionError::Io`].
    pub(crate) fn attach(path: &Path) -> Result<Arc<Self>, RegionError> {
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::NotFound => RegionError::Missing { path: path.to_owned() },
                    _ => RegionError::io("open", path, error),
                }
            })?;
        let bytes = file
            .metadata()
            .map_err(|error| RegionError::io("read the size of", path, error))?
            .len();
        let dimensions = read_dimensions(&file, path, bytes)?;
        let layout = Layout::new(dimensions).ok_or(RegionError::Dimensions { dimensions })?;
        if bytes != layout.total_bytes as u64 {
            let expected = layout.total_bytes as u64;
            return Err(RegionError::Size { path: path.to_owned(), bytes, expected });
        }
        let region =
            Self::map(&file, layout, path).map_err(|error| RegionError::io("map", path, error))?;
        Ok(Arc::new(region))
    }

    fn map(file: &File, layout: Layout, path: &Path) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let map = Map::new(file, layout.total_bytes)?;
        let file_id = (metadata.dev(), metadata.ino());
        Ok(Self { map, layout, path: path.to_owned(), file_id })
    }

    /// False when the file at [`Region::path`] is gone or another one: a dataplane with other dimensions has started.
    #[must_use]
    pub fn is_current(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.file_id)
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The region's dimensions.
    #[must_use]
    pub fn dimensions(&self) -> Dimensions {
        self.layout.dimensions
    }

    /// Does it lie on huge pages? As of the first time that this is asked; costs milliseconds then.
    #[must_use]
    pub fn is_huge(&self) -> bool {
        self.map.is_huge()
    }

    /// Bytes of the region.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.layout.total_bytes
    }

    fn array<T: InRegion>(&self, offset: usize, count: usize) -> &[T] {
        assert!(offset.is_multiple_of(align_of::<T>()));
        assert!(offset + count * size_of::<T>() <= self.layout.total_bytes);
        let base = self.map.as_mut_ptr();
        // SAFETY: the offset lies inside the map, by the assertion.
        let first = unsafe { base.add(offset) };
        // SAFETY: `count` values lie inside the map, which is page-aligned and lives as long as `self`; `InRegion` says
        // that any bits are a value and that shared access is sound.
        unsafe { std::slice::from_raw_parts(first.cast(), count) }
    }

    fn one<T: InRegion>(&self, offset: usize) -> &T {
        &self.array(offset, 1)[0]
    }

    pub(crate) fn header(&self, word: HeaderWord) -> &AtomicU64 {
        &self.array(0, HEADER_WORDS)[word as usize]
    }

    /// Until when a segment is in bypass: written by control, read by the dataplane's main thread.
    pub(crate) fn bypass(&self, segment: SegmentId) -> &AtomicU64 {
        &self.array(0, HEADER_WORDS)[BYPASS_AT + segment.index()]
    }

    /// What is to be captured: written by control, read by the workers.
    pub(crate) fn capture_order(&self) -> &OrderBlock {
        self.one(self.layout.capture_order)
    }

    pub(crate) fn port_state(&self, port: usize) -> &[AtomicU64] {
        assert!(port < self.layout.dimensions.ports);
        let offset = self.layout.port_states + port * PORT_STATE_WORDS * 8;
        self.array(offset, PORT_STATE_WORDS)
    }

    pub(crate) fn worker_block(&self, worker: usize) -> &WorkerBlock {
        self.one(self.layout.worker(worker).counters)
    }

    pub(crate) fn latency_block(&self, worker: usize) -> &LatencyBlock {
        self.one(self.layout.worker(worker).latency)
    }

    #[inline]
    pub(crate) fn port_blocks(&self, worker: usize) -> &[PortBlock] {
        self.array(self.layout.worker(worker).ports, self.layout.dimensions.ports)
    }

    /// Words of a policy slot, to be read while the swap protocol protects it.
    ///
    /// # Safety
    /// No one writes the slot while the slice lives: it is the slot of a generation this process has announced, or of
    /// the one in force with control's own lock held.
    #[inline]
    pub(crate) unsafe fn slot(&self, slot: usize) -> &[u64] {
        let (first, words) = self.slot_start(slot);
        // SAFETY: the slot lies inside the map; the caller excludes writers.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), words) }
    }

    /// Copies `words` into a policy slot.
    ///
    /// # Safety
    /// No one reads the slot: [`crate::swap::SwapWriter::free_slot`] returned it, and this is the only writer.
    pub(crate) unsafe fn write_slot(&self, slot: usize, words: &[u64]) {
        let (first, room) = self.slot_start(slot);
        assert!(words.len() <= room, "policy image of {} words, slot of {room}", words.len());
        // SAFETY: the words fit into the slot, by the assertion, and can't overlap the caller's own memory.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), first.as_ptr(), words.len()) };
    }

    fn slot_start(&self, slot: usize) -> (NonNull<u64>, usize) {
        assert!(slot < crate::swap::SLOTS);
        let words: &[AtomicU64] = self
            .array(self.layout.slots + slot * self.layout.slot_bytes, self.layout.slot_bytes / 8);
        (NonNull::from(&words[0]).cast(), words.len())
    }
}

/// Reads the header without mapping, so that a foreign or short file can't harm.
fn read_dimensions(file: &File, path: &Path, bytes: u64) -> Result<Dimensions, RegionError> {
    let mut header = [0; HEADER_WORDS * 8];
    let whole = bytes >= header.len() as u64;
    // A file too short for a header is foreign too, unless it begins like a region.
    let readable = if whole { header.len() } else { (bytes as usize).min(size_of_val(&MAGIC)) };
    file.read_exact_at(&mut header[..readable], 0)
        .map_err(|error| RegionError::io("read", path, error))?;
    let word = |at: HeaderWord| {
        let at = at as usize * 8;
        u64::from_ne_bytes(std::array::from_fn(|byte| header[at + byte]))
    };
    if word(HeaderWord::Magic) != MAGIC {
        return Err(RegionError::Foreign { path: path.to_owned() });
    }
    if !whole {
        let expected = header.len() as u64;
        return Err(RegionError::Size { path: path.to_owned(), bytes, expected });
    }
    if word(HeaderWord::Version) != LAYOUT_VERSION {
        let found = word(HeaderWord::Version);
        return Err(RegionError::Version { path: path.to_owned(), found });
    }
    let size = |at| usize::try_from(word(at)).unwrap_or(usize::MAX);
    Ok(Dimensions {
        workers: size(HeaderWord::Workers),
        ports: size(HeaderWord::Ports),
        ring_events: size(HeaderWord::RingEvents),
        rule_capacity: size(HeaderWord::RuleCapacity),
        fingerprint: word(HeaderWord::Fingerprint),
    })
}

/// Takes the file's memory now: with none left, the error comes here instead of a SIGBUS on the packet path.
fn reserve(file: &File, bytes: usize) -> io::Result<()> {
    // SAFETY: a plain system call on an open file.
    let result = unsafe {
        libc::posix_fallocate(std::os::fd::AsRawFd::as_raw_fd(file), 0, bytes as libc::off_t)
    };
    match result {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// The swap words of a region.
impl SwapMemory for Region {
    #[inline]
    fn current(&self) -> &Word {
        self.one(self.layout.current)
    }

    #[inline]
    fn quiescent(&self) -> &[Word] {
        self.array(self.layout.quiescent, self.layout.dimensions.workers)
    }
}

/// One worker's ring in a region. Where its parts lie is looked up once: both ends ask for them with each record.
pub struct RegionRing {
    write_cursor: NonNull<Cursor>,
    read_cursor: NonNull<Cursor>,
    slots: NonNull<[Shared<Record>]>,
    /// Keeps mapped what the others point into.
    _region: Arc<Region>,
}

// SAFETY: the pointers stand for shared references into the region, whose parts may be used by any thread (`InRegion`).
unsafe impl Send for RegionRing {}
// SAFETY: as above.
unsafe impl Sync for RegionRing {}

impl RegionRing {
    /// A worker's events.
    pub(crate) fn events(region: Arc<Region>, worker: usize) -> Self {
        assert!(worker < region.layout.dimensions.workers);
        let at = region.layout.worker(worker).events;
        Self::new(region, at)
    }

    /// What a worker captures.
    pub(crate) fn captures(region: Arc<Region>, worker: usize) -> Self {
        assert!(worker < region.layout.dimensions.workers);
        let at = region.layout.worker(worker).captures;
        Self::new(region, at)
    }

    fn new(region: Arc<Region>, at: RingLayout) -> Self {
        Self {
            write_cursor: region.one::<Cursor>(at.write_cursor).into(),
            read_cursor: region.one::<Cursor>(at.read_cursor).into(),
            slots: region.array(at.slots, at.records).into(),
            _region: region,
        }
    }
}

impl RingMemory for RegionRing {
    #[inline]
    fn write_cursor(&self) -> &Cursor {
        // SAFETY: it was made of a reference into the region, which `self` keeps mapped.
        unsafe { self.write_cursor.as_ref() }
    }

    #[inline]
    fn read_cursor(&self) -> &Cursor {
        // SAFETY: as above.
        unsafe { self.read_cursor.as_ref() }
    }

    #[inline]
    fn slots(&self) -> &[Shared<Record>] {
        // SAFETY: as above.
        unsafe { self.slots.as_ref() }
    }
}
