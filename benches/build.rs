//! Compiles what is C here: the shim over DPDK's hash table, which the flow table's lookup is measured against, and the far
//! end of the link on which latency is measured.

use std::process::ExitCode;

const SOURCES: [&str; 2] = ["src/rte_hash.c", "src/link.c"];

fn main() -> ExitCode {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let found =
        pkg_config::Config::new().atleast_version("22.11").cargo_metadata(false).probe("libdpdk");
    let dpdk = match found {
        Ok(dpdk) => dpdk,
        Err(error) => {
            let error = error.to_string().replace('\n', " ");
            println!("cargo::error=loadlock-benches: {error}; apt-get install libdpdk-dev");
            return ExitCode::FAILURE;
        }
    };
    let mut compiler = cc::Build::new();
    // DPDK's inline functions are only right with its configuration and its instruction set.
    compiler.files(SOURCES).includes(&dpdk.include_paths);
    compiler.flag("-include").flag("rte_config.h").flag("-march=corei7").opt_level(3);
    compiler.compile("loadlock_bench_dpdk");
    for path in &dpdk.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    for library in ["rte_hash", "rte_ethdev", "rte_mbuf", "rte_mempool", "rte_eal"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    ExitCode::SUCCESS
}
