//! Workers: one task on each worker lcore.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use loadlock_dpdk_sys as sys;

use crate::{Errno, cpus};

/// What a worker runs: mostly a loop that ends when a flag says so.
pub type Task = Box<dyn FnOnce() + Send>;

/// A worker's thread, as the kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerThread {
    /// DPDK's number for it, from 1.
    pub lcore: u32,
    /// The one CPU it is pinned to.
    pub core: usize,
    /// The kernel's thread id, as in `top -H`.
    pub thread_id: i32,
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerOutcome {
    /// The task returned.
    Finished,
    /// The task panicked.
    Panicked {
        /// The panic's message.
        message: String,
    },
}

/// A worker that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerExit {
    /// Its thread.
    pub thread: WorkerThread,
    /// How it ended.
    pub outcome: WorkerOutcome,
}

/// Why the workers couldn't be started. No task has begun.
#[derive(Debug)]
pub enum LaunchError {
    /// More tasks than worker cores.
    TooManyTasks {
        /// Tasks given.
        tasks: usize,
        /// Worker cores of this EAL.
        cores: usize,
    },
    /// The lcore still runs an earlier task.
    Busy {
        /// DPDK's number for it.
        lcore: u32,
        /// Its CPU.
        core: usize,
        /// DPDK's reason.
        cause: Errno,
    },
    /// The thread may run elsewhere too.
    NotPinned {
        /// DPDK's number for it.
        lcore: u32,
        /// The CPU it should be on.
        core: usize,
        /// Where it may run, in the kernel's notation.
        allowed: String,
    },
    /// The kernel doesn't tell where the thread may run.
    Affinity {
        /// DPDK's number for it.
        lcore: u32,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for LaunchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyTasks { tasks, cores } => write!(
                formatter,
                "workers: {tasks} tasks for {cores} worker cores, allowed is one a core; add cores or run fewer"
            ),
            Self::Busy { lcore, core, cause } => write!(
                formatter,
                "worker lcore {lcore} (core {core}): still runs an earlier task ({cause}); join that first"
            ),
            Self::NotPinned { lcore, core, allowed } => write!(
                formatter,
                "worker lcore {lcore}: runs on {allowed}, allowed is core {core} alone; stop what changes affinities, \
                 and start a new process"
            ),
            Self::Affinity { lcore, source } => write!(
                formatter,
                "worker lcore {lcore}: sched_getaffinity: {source}; allow that system call to this process"
            ),
        }
    }
}

impl std::error::Error for LaunchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Busy { cause, .. } => Some(cause),
            Self::Affinity { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What the launcher and one worker share.
#[derive(Debug, Default)]
struct Shared {
    outcome: OnceLock<WorkerOutcome>,
    /// Stored (Release) by the worker after its outcome, loaded (Acquire) by `is_running`: who sees it set sees what
    /// the task did. Weaker, a caller could act on a finished worker whose writes it doesn't see yet.
    ended: AtomicBool,
}

/// What a worker says of itself before it begins.
type Report = io::Result<(Vec<usize>, i32)>;

/// All that an lcore gets, moved through C as one pointer.
struct Launch {
    task: Task,
    report: Sender<Report>,
    /// A message lets the task begin; a closed channel sends the worker home.
    begin: Receiver<()>,
    shared: Arc<Shared>,
}

/// The running workers. Dropping it lets them run on unwatched; join instead.
#[derive(Debug)]
#[must_use = "join the workers, or nobody learns how they ended"]
pub struct Workers {
    workers: Vec<(WorkerThread, Arc<Shared>)>,
    /// Waiting for lcores is for the main one, so it stays on that thread.
    _main_thread: PhantomData<*const ()>,
}

impl Workers {
    /// The threads, in the order of the tasks.
    pub fn threads(&self) -> Vec<WorkerThread> {
        self.workers.iter().map(|(thread, _)| *thread).collect()
    }

    /// Whether the task of that index still runs; false for an index there isn't.
    pub fn is_running(&self, index: usize) -> bool {
        self.workers.get(index).is_some_and(|(_, shared)| !shared.ended.load(Ordering::Acquire))
    }

    /// Waits until all have ended, and tells how, in the order of the tasks. Blocks for as long as that takes.
    pub fn join(self) -> Vec<WorkerExit> {
        self.workers
            .into_iter()
            .map(|(thread, shared)| {
                wait(thread.lcore);
                let outcome = shared.outcome.get().cloned();
                // Every task that begins leaves an outcome; should one not, that is no success.
                let outcome = outcome.unwrap_or_else(|| WorkerOutcome::Panicked {
                    message: "ended without an outcome".to_owned(),
                });
                WorkerExit { thread, outcome }
            })
            .collect()
    }
}

/// Starts `tasks` on lcores 1 and on, which run on `cores`.
pub(crate) fn launch(cores: &[usize], tasks: Vec<Task>) -> Result<Workers, LaunchError> {
    if tasks.len() > cores.len() {
        return Err(LaunchError::TooManyTasks { tasks: tasks.len(), cores: cores.len() });
    }
    let mut begins = Vec::new();
    let mut workers = Vec::new();
    let mut failure = None;
    for ((lcore, &core), task) in (1..).zip(cores).zip(tasks) {
        let (report, reported) = channel();
        let (begin_sender, begin) = channel();
        let shared = Arc::new(Shared::default());
        let launch = Launch { task, report, begin, shared: Arc::clone(&shared) };
        if let Err(cause) = send_to_lcore(lcore, Box::new(launch)) {
            failure = Some(LaunchError::Busy { lcore, core, cause });
            break;
        }
        begins.push((lcore, begin_sender));
        match judge(lcore, core, &reported) {
            Ok(thread) => workers.push((thread, shared)),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    if let Some(failure) = failure {
        for (lcore, begin) in begins {
            drop(begin);
            wait(lcore);
        }
        return Err(failure);
    }
    for (_, begin) in begins {
        // Fails only if the worker is gone, which the join then shows.
        let _ = begin.send(());
    }
    Ok(Workers { workers, _main_thread: PhantomData })
}

/// Waits for a worker's report, and accepts it if it is pinned to its core alone.
fn judge(
    lcore: u32,
    core: usize,
    reported: &Receiver<Report>,
) -> Result<WorkerThread, LaunchError> {
    let (allowed, thread_id) = reported
        .recv()
        .unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
        .map_err(|source| LaunchError::Affinity { lcore, source })?;
    if allowed != [core] {
        return Err(LaunchError::NotPinned { lcore, core, allowed: cpus::format_list(&allowed) });
    }
    Ok(WorkerThread { lcore, core, thread_id })
}

/// Moves a launch to an idle lcore; if DPDK doesn't take it, it is dropped here.
fn send_to_lcore(lcore: u32, launch: Box<Launch>) -> Result<(), Errno> {
    let pointer = Box::into_raw(launch);
    // SAFETY: the lcore exists, as EAL was started with it; `run` takes the box over, once.
    let status = unsafe { sys::rte_eal_remote_launch(Some(run), pointer.cast::<c_void>(), lcore) };
    if status != 0 {
        // SAFETY: DPDK refused, so `run` won't be called, and the box is ours again.
        drop(unsafe { Box::from_raw(pointer) });
        return Err(Errno::from_status(status));
    }
    Ok(())
}

/// Waits until an lcore has run its task; returns at once if it has none.
fn wait(lcore: u32) {
    // SAFETY: the lcore exists; what `run` returns has no meaning.
    let _ = unsafe { sys::rte_eal_wait_lcore(lcore) };
}

/// What EAL calls on the lcore.
///
/// # Safety
/// `launch` comes from `Box::into_raw` of a `Launch` and is given up to this call.
unsafe extern "C" fn run(launch: *mut c_void) -> c_int {
    // SAFETY: the contract.
    let launch = unsafe { Box::from_raw(launch.cast::<Launch>()) };
    let Launch { task, report, begin, shared } = *launch;
    let found = cpus::of_this_thread().map(|cpus| (cpus, thread_id()));
    let _ = report.send(found);
    if begin.recv().is_err() {
        return 0;
    }
    // The task is consumed either way, and what it shares with others is its own matter: they see the panic by join.
    let outcome = match catch_unwind(AssertUnwindSafe(task)) {
        Ok(()) => WorkerOutcome::Finished,
        Err(payload) => WorkerOutcome::Panicked { message: message_of(&*payload) },
    };
    let _ = shared.outcome.set(outcome);
    shared.ended.store(true, Ordering::Release);
    0
}

fn thread_id() -> i32 {
    // SAFETY: a system call without arguments that can't fail.
    unsafe { libc::gettid() }
}

/// The text of a panic, if it has one.
fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{LaunchError, Task, launch, message_of};

    #[test]
    fn more_tasks_than_cores_are_refused_before_dpdk_is_asked() {
        let tasks: Vec<Task> = vec![Box::new(|| {}), Box::new(|| {})];
        assert!(matches!(
            launch(&[1], tasks),
            Err(LaunchError::TooManyTasks { tasks: 2, cores: 1 })
        ));
    }

    #[test]
    fn panics_of_all_kinds_have_a_text() {
        assert_eq!(message_of(&"a str"), "a str");
        assert_eq!(message_of(&"a string".to_owned()), "a string");
        assert_eq!(message_of(&7_u8), "a panic without a text");
    }
}
