//! Keys of ports and segments by which an appliance is tuned.

use crate::problem::Problem;
use crate::scope::Scope;
use crate::settings::{DataplaneSettings, PortPool};

/// The port's own pool.
pub(super) fn pool(scope: &mut Scope<'_, '_>, dataplane: &DataplaneSettings) -> Option<PortPool> {
    let mbufs: u32 = scope.integer("mbufs");
    let cache: u32 = scope.integer("mbuf_cache");
    let cache = if cache == 0 { dataplane.mbuf_cache } else { cache };
    (mbufs != 0).then_some(PortPool { mbufs, cache })
}

/// Whether `tx-fast-free` is asked for; what would touch a frame is refused with what it does.
pub(super) fn fast_free(scope: &mut Scope<'_, '_>) -> bool {
    let refused = scope.refuse_touching_offloads("offloads");
    let before = scope.findings.errors.len();
    let chosen = scope.choices("offloads");
    if refused {
        // Those are reported with their reason; what else is wrong in the list comes with the next attempt.
        scope.findings.errors.truncate(before);
    }
    chosen.iter().any(|offload| offload == "tx-fast-free")
}

/// The segment's workers, as indexes into `dataplane.worker_cores`.
pub(super) fn workers(scope: &mut Scope<'_, '_>, dataplane: &DataplaneSettings) -> Vec<usize> {
    let chosen = scope.cores("worker_cores");
    let all = &dataplane.worker_cores;
    if chosen.is_empty() {
        return (0..all.len()).collect();
    }
    let mut workers = Vec::new();
    for (index, core) in chosen.iter().enumerate() {
        let path = format!("{}[{index}]", scope.path_of("worker_cores"));
        match all.iter().position(|worker| worker == core) {
            Some(worker) if workers.contains(&worker) => {
                let problem = Problem::UsedTwice {
                    found: format!("CPU {core}"),
                    first_key: scope.path_of("worker_cores"),
                    first_line: scope.findings.nearest_line(&path),
                    reason: "a worker serves a segment once",
                };
                scope.findings.report_at(&path, problem);
            }
            Some(worker) => workers.push(worker),
            // With a mistake in the list of all, any core might be the one that was meant.
            None if scope.findings.is_sound("dataplane.worker_cores") => {
                let known: Vec<String> = all.iter().map(ToString::to_string).collect();
                let problem = Problem::NoSuchWorker { core: core.0, known: known.join(", ") };
                scope.findings.report_at(&path, problem);
            }
            None => {}
        }
    }
    workers.sort_unstable();
    workers
}
