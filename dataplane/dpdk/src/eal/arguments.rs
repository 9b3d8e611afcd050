//! EAL's argument list, made from the configuration.

use super::{EalConfig, EalError, LogLevel, Memory};

/// The drivers that hand packet memory to a peer region by region, and only have 8 places for them.
const NEED_FEW_REGIONS: &str = "net_virtio_user";

/// All arguments, the program's name first.
pub(super) fn build(config: &EalConfig) -> Result<Vec<String>, EalError> {
    if !is_prefix(&config.file_prefix) {
        return Err(EalError::FilePrefix { prefix: config.file_prefix.clone() });
    }
    let mut arguments = vec![
        "loadlock-dataplane".to_owned(),
        format!("--lcores={}", lcores(config)),
        "--main-lcore=0".to_owned(),
        format!("--log-level={}", level(config.log_level)),
        // Loadlock exports its own metrics; a second socket for it would be one more door.
        "--no-telemetry".to_owned(),
        format!("--file-prefix={}", config.file_prefix),
    ];
    arguments.extend(memory(config));
    if config.pci_devices.is_empty() {
        arguments.push("--no-pci".to_owned());
    }
    for address in &config.pci_devices {
        arguments.push(format!("--allow={address}"));
    }
    for device in &config.virtual_devices {
        arguments.push(format!("--vdev={device}"));
    }
    match arguments.iter().find(|argument| argument.contains('\0')) {
        Some(argument) => Err(EalError::Argument { argument: argument.clone() }),
        None => Ok(arguments),
    }
}

/// Lcore 0 is the main one, 1 and on the workers, so that an lcore's number never depends on a CPU's, which may be
/// larger than DPDK's highest lcore.
fn lcores(config: &EalConfig) -> String {
    let mut map = format!("0@{}", config.main_core);
    for (index, core) in config.worker_cores.iter().enumerate() {
        map.push_str(&format!(",{}@{core}", index + 1));
    }
    map
}

/// No choice leaves files behind, nor allows a secondary process.
fn memory(config: &EalConfig) -> Vec<String> {
    let few_regions =
        config.virtual_devices.iter().any(|device| device.starts_with(NEED_FEW_REGIONS));
    let mut arguments = Vec::new();
    match &config.memory {
        // --in-memory would be the shorter way, but 22.11 refuses it together with --no-huge.
        Memory::NoHuge { mib } => {
            arguments.push("--no-huge".to_owned());
            arguments.push("--no-shconf".to_owned());
            arguments.push(format!("-m{mib}"));
        }
        Memory::Hugepages { dir, mib, .. } => {
            match dir {
                None => arguments.push("--in-memory".to_owned()),
                Some(dir) => {
                    arguments.push(format!("--huge-dir={}", dir.display()));
                    arguments.push("--no-shconf".to_owned());
                    // EAL refuses both together; then it is the file prefix that keeps a next start from growing.
                    if !few_regions {
                        arguments.push("--huge-unlink".to_owned());
                    }
                }
            }
            if few_regions {
                arguments.push("--single-file-segments".to_owned());
            }
            if let Some(mib) = mib {
                arguments.push(format!("-m{mib}"));
            }
        }
    }
    arguments
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Notice => "notice",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    }
}

/// It becomes part of file names.
fn is_prefix(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::build;
    use crate::{EalConfig, EalError, LogLevel, Memory};

    fn config() -> EalConfig {
        EalConfig {
            main_core: 200,
            worker_cores: vec![7, 3],
            memory: Memory::NoHuge { mib: 256 },
            file_prefix: "loadlock".to_owned(),
            virtual_devices: vec!["net_null0,size=64".to_owned()],
            pci_devices: Vec::new(),
            log_level: LogLevel::default(),
        }
    }

    #[test]
    fn lcore_numbers_are_independent_of_cpu_numbers() {
        let arguments = build(&config()).expect("valid").join(" ");
        assert_eq!(
            arguments,
            "loadlock-dataplane --lcores=0@200,1@7,2@3 --main-lcore=0 --log-level=warning --no-telemetry \
             --file-prefix=loadlock --no-huge --no-shconf -m256 --no-pci --vdev=net_null0,size=64"
        );
    }

    #[test]
    fn hugepages_are_anonymous_unless_a_mount_is_named() {
        let mut config = config();
        config.pci_devices = vec!["0000:03:00.0".to_owned()];
        config.memory = Memory::Hugepages { dir: None, mib: None, page_bytes: None };
        let arguments = build(&config).expect("valid");
        assert!(
            arguments.contains(&"--in-memory".to_owned())
                && arguments.contains(&"--allow=0000:03:00.0".to_owned())
        );
        assert!(
            !arguments.iter().any(|argument| argument == "--no-pci" || argument.starts_with("-m"))
        );

        config.memory = Memory::Hugepages {
            dir: Some(PathBuf::from("/dev/hugepages1G")),
            mib: Some(2048),
            page_bytes: None,
        };
        let arguments = build(&config).expect("valid").join(" ");
        assert!(
            arguments
                .contains("--huge-dir=/dev/hugepages1G --no-shconf --huge-unlink -m2048 --allow"),
            "{arguments}"
        );
        config.virtual_devices.push("net_virtio_user0,path=/run/v.sock".to_owned());
        let arguments = build(&config).expect("valid").join(" ");
        assert!(
            arguments.contains("--single-file-segments") && !arguments.contains("--huge-unlink")
        );
    }

    #[test]
    fn texts_that_c_or_a_file_system_would_cut_are_refused() {
        for prefix in ["", "a/b", "%d", "a b"] {
            let refused = build(&EalConfig { file_prefix: prefix.to_owned(), ..config() });
            assert!(matches!(refused, Err(EalError::FilePrefix { .. })), "{prefix}");
        }
        let refused = build(&EalConfig { virtual_devices: vec!["net\0".to_owned()], ..config() });
        assert!(matches!(refused, Err(EalError::Argument { .. })));
    }
}
