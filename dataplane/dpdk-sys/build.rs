//! Finds DPDK by pkg-config, compiles the shims, generates the bindings and names the libraries to link.

#[path = "build/version.rs"]
mod version;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fmt};

/// The libraries whose symbols the bindings and the shims refer to. `libdpdk.pc` names about fifty; the poll-mode
/// drivers are loaded at run time from the directory the distribution compiled into EAL.
const LIBRARIES: [&str; 4] = ["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_eal"];

/// DPDK's own functions that are bound; everything else goes through a shim.
const FUNCTIONS: [&str; 17] = [
    "rte_eal_init",
    "rte_eal_remote_launch",
    "rte_eal_wait_lcore",
    "rte_version",
    "rte_strerror",
    "rte_get_tsc_hz",
    "rte_pktmbuf_pool_create",
    "rte_mempool_avail_count",
    "rte_mempool_in_use_count",
    "rte_pktmbuf_free_bulk",
    "rte_eth_find_next",
    "rte_eth_dev_get_name_by_port",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_stop",
    "rte_eth_dev_close",
    "rte_eth_dev_set_link_up",
    "rte_eth_dev_set_link_down",
];

/// What Debian and its derivatives need; other distributions name it alike.
const NEXT_STEP: &str = "on Debian 12: apt-get install pkg-config libdpdk-dev libclang-dev; a DPDK of your own: put the directory \
     of its libdpdk.pc in PKG_CONFIG_PATH";

/// Why the build stops. Each is printed as one `cargo::error` line.
enum BuildError {
    PkgConfigMissing { program: String, cause: String },
    LibraryMissing { program: String, cause: String },
    Version(version::VersionError),
    Flag { flag: String },
    Compile { cause: String },
    Bindings { cause: String },
    Write { path: PathBuf, cause: String },
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PkgConfigMissing { program, cause } => {
                write!(formatter, "can't run \"{program}\" to find DPDK ({cause}); {NEXT_STEP}")
            }
            Self::LibraryMissing { program, cause } => write!(
                formatter,
                "\"{program}\" knows no libdpdk, allowed is DPDK >= 22.11, < 25 ({cause}); {NEXT_STEP}"
            ),
            Self::Version(cause) => write!(formatter, "{cause}; {NEXT_STEP}"),
            Self::Flag { flag } => write!(
                formatter,
                "libdpdk.pc names the compiler flag {flag} without its argument; reinstall DPDK: {NEXT_STEP}"
            ),
            Self::Compile { cause } => write!(
                formatter,
                "src/shim.c doesn't compile against this DPDK ({cause}); {NEXT_STEP}"
            ),
            Self::Bindings { cause } => write!(
                formatter,
                "bindgen can't read src/shim.h ({cause}); it needs libclang and its headers; {NEXT_STEP}"
            ),
            Self::Write { path, cause } => {
                write!(
                    formatter,
                    "can't write {} ({cause}); free the disk or mend the permissions, then build again",
                    path.display()
                )
            }
        }
    }
}

fn main() -> ExitCode {
    for path in ["build.rs", "build/version.rs", "src/shim.c", "src/shim.h"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for variable in ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error=loadlock-dpdk-sys: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), BuildError> {
    let found = pkg_config("--modversion")?;
    version::judge(&found).map_err(BuildError::Version)?;
    let flags = compiler_flags(&pkg_config("--cflags")?)?;
    compile_shim(&flags)?;
    write_bindings(&flags)?;
    link(&pkg_config("--libs-only-L")?);
    Ok(())
}

/// Asks pkg-config one question about libdpdk.
fn pkg_config(question: &str) -> Result<String, BuildError> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let output = Command::new(&program).args([question, "libdpdk"]).output().map_err(|cause| {
        BuildError::PkgConfigMissing { program: program.clone(), cause: cause.to_string() }
    })?;
    if !output.status.success() {
        return Err(BuildError::LibraryMissing {
            program,
            cause: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The flags in order and unchanged: DPDK's inline functions are only right with its own `-march` and `rte_config.h`.
fn compiler_flags(text: &str) -> Result<Vec<String>, BuildError> {
    let flags: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    match flags.last() {
        Some(flag) if flag == "-include" || flag == "-I" || flag == "-isystem" => {
            Err(BuildError::Flag { flag: flag.clone() })
        }
        _ => Ok(flags),
    }
}

fn compile_shim(flags: &[String]) -> Result<(), BuildError> {
    let mut compiler = cc::Build::new();
    compiler.file("src/shim.c").warnings(true);
    for flag in flags {
        compiler.flag(flag);
    }
    compiler
        .try_compile("loadlock_dpdk_shim")
        .map_err(|cause| BuildError::Compile { cause: cause.to_string() })
}

fn write_bindings(flags: &[String]) -> Result<(), BuildError> {
    let mut builder = bindgen::Builder::default()
        .header("src/shim.h")
        .clang_args(flags)
        .allowlist_function("loadlock_.*")
        .allowlist_type("loadlock_.*|lcore_function_t")
        .allowlist_var("LOADLOCK_.*")
        .allowlist_recursively(false)
        .derive_default(true)
        .prepend_enum_name(false)
        .generate_comments(false)
        .merge_extern_blocks(true)
        .use_core();
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    let bindings =
        builder.generate().map_err(|cause| BuildError::Bindings { cause: cause.to_string() })?;
    let path = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("bindings.rs");
    bindings
        .write_to_file(&path)
        .map_err(|cause| BuildError::Write { path, cause: cause.to_string() })
}

fn link(search_flags: &str) {
    for flag in search_flags.split_whitespace() {
        if let Some(directory) = flag.strip_prefix("-L") {
            println!("cargo::rustc-link-search=native={directory}");
        }
    }
    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
}
