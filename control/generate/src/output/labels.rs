//! Labels as JSON lines, one for each packet of the merged capture.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::GenerateError;
use crate::traffic::GeneratedPacket;

/// One line.
#[derive(Serialize)]
struct LabelLine {
    /// Number of the packet in the merged capture, from 1.
    n: u64,
    time_ns: u64,
    /// `benign` or `attack`.
    label: &'static str,
    class: &'static str,
    /// `a` or `b`.
    side: &'static str,
}

/// The label file while it is written.
pub(super) struct LabelWriter {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl LabelWriter {
    /// Makes the file; one that is there is replaced.
    pub(super) fn create(path: PathBuf) -> Result<Self, GenerateError> {
        match File::create(&path) {
            Ok(file) => Ok(Self { path, writer: BufWriter::new(file) }),
            Err(source) => Err(GenerateError::Write { path, source }),
        }
    }

    /// Writes the line of packet `n`.
    pub(super) fn write(&mut self, n: u64, packet: &GeneratedPacket) -> Result<(), GenerateError> {
        let line = LabelLine {
            n,
            time_ns: packet.time_ns,
            label: packet.label.as_str(),
            class: packet.label.class(),
            side: packet.side.as_str(),
        };
        serde_json::to_writer(&mut self.writer, &line)
            .map_err(io::Error::from)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(|source| GenerateError::Write { path: self.path.clone(), source })
    }

    /// Writes what is buffered.
    pub(super) fn finish(mut self) -> Result<PathBuf, GenerateError> {
        match self.writer.flush() {
            Ok(()) => Ok(self.path),
            Err(source) => Err(GenerateError::Write { path: self.path, source }),
        }
    }
}
