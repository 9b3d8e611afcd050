//! Compiles the shim over DPDK's hash table, which the flow table's lookup is measured against.

use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=src/rte_hash.c");
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
    compiler.file("src/rte_hash.c").includes(&dpdk.include_paths);
    compiler.flag("-include").flag("rte_config.h").flag("-march=corei7").opt_level(3);
    compiler.compile("loadlock_bench_rte_hash");
    for path in &dpdk.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    for library in ["rte_hash", "rte_eal"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    ExitCode::SUCCESS
}
