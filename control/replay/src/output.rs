//! Outputs that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Stdout, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::ReplayError;
use crate::options::{Output, ReplayOptions};

const BUFFER_BYTES: usize = 256 * 1024;

enum Destination {
    Stdout(BufWriter<Stdout>),
    /// Beside its place, until it is complete.
    Replacing(BufWriter<NamedTempFile>, PathBuf),
    /// A device or pipe, which a file mustn't replace.
    InPlace(BufWriter<File>),
}

/// One output that is being written. Dropped before [`OutputFile::finish`], a file stays as it was.
pub(crate) struct OutputFile {
    what: &'static str,
    path: Option<PathBuf>,
    destination: Destination,
}

impl OutputFile {
    /// Begins an output; `what` names it in messages.
    pub fn create(output: &Output, what: &'static str) -> Result<Self, ReplayError> {
        let (path, opened) = match output {
            Output::Stdout => (
                None,
                Ok(Destination::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))),
            ),
            Output::File(path) => (Some(path.clone()), open(path)),
        };
        match opened {
            Ok(destination) => Ok(Self { what, path, destination }),
            Err(source) => Err(ReplayError::Write { what, file: path, source }),
        }
    }

    fn error(&self, source: io::Error) -> ReplayError {
        ReplayError::Write { what: self.what, file: self.path.clone(), source }
    }

    /// Appends text.
    pub fn write(&mut self, text: &[u8]) -> Result<(), ReplayError> {
        let written = match &mut self.destination {
            Destination::Stdout(writer) => writer.write_all(text),
            Destination::Replacing(writer, _) => writer.write_all(text),
            Destination::InPlace(writer) => writer.write_all(text),
        };
        written.map_err(|source| self.error(source))
    }

    /// Puts the complete output in its place.
    pub fn finish(self) -> Result<(), ReplayError> {
        let Self { what, path, destination } = self;
        let finished = match destination {
            Destination::Stdout(mut writer) => writer.flush(),
            Destination::InPlace(mut writer) => writer.flush(),
            Destination::Replacing(writer, target) => replace(writer, &target),
        };
        finished.map_err(|source| ReplayError::Write { what, file: path, source })
    }
}

fn open(path: &Path) -> io::Result<Destination> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let file = File::options().write(true).open(path)?;
        return Ok(Destination::InPlace(BufWriter::with_capacity(BUFFER_BYTES, file)));
    }
    // A link stays a link: what it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // As any other program would create it; the kernel takes away what umask says.
    let file = tempfile::Builder::new()
        .prefix(".loadlock-replay-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    Ok(Destination::Replacing(BufWriter::with_capacity(BUFFER_BYTES, file), target))
}

fn replace(writer: BufWriter<NamedTempFile>, target: &Path) -> io::Result<()> {
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(target).map(drop).map_err(|error| error.error)
}

/// All outputs of a replay, begun before it so that a wrong path is found at once.
pub(crate) struct Outputs {
    pub report: Option<OutputFile>,
    pub verdicts: Option<OutputFile>,
    pub policy: Option<OutputFile>,
    pub sides: Option<OutputFile>,
}

impl Outputs {
    /// Begins those that the options ask for.
    pub fn create(options: &ReplayOptions) -> Result<Self, ReplayError> {
        let create = |output: &Option<Output>, what| {
            output.as_ref().map(|output| OutputFile::create(output, what)).transpose()
        };
        Ok(Self {
            report: create(&options.report, "report")?,
            verdicts: create(&options.verdicts, "verdicts")?,
            policy: create(&options.save_policy, "policy")?,
            sides: create(&options.save_sides, "sides")?,
        })
    }
}

/// Writes a whole text, if it is asked for.
pub(crate) fn write_whole(
    file: Option<OutputFile>,
    text: impl FnOnce() -> String,
) -> Result<(), ReplayError> {
    let Some(mut file) = file else { return Ok(()) };
    file.write(text().as_bytes())?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_at_the_end_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let mut file = OutputFile::create(&Output::File(path.clone()), "report").unwrap();
        file.write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let file = OutputFile::create(&Output::File(path.clone()), "report").unwrap();
        write_whole(Some(file), || "new".to_owned()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        let null = Output::File(PathBuf::from("/dev/null"));
        let file = OutputFile::create(&null, "report").unwrap();
        write_whole(Some(file), || "text".to_owned()).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let absent = Output::File(PathBuf::from("/nonexistent/report.json"));
        assert!(matches!(OutputFile::create(&absent, "report"), Err(ReplayError::Write { .. })));
    }
}
