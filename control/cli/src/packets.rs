//! `loadlock packets`: frames of a device as they come in, as pcapng.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use loadlock_api::{
    CAPTURE_FRAMES_MAX, CAPTURE_S_MAX, Capture, CaptureBody, CaptureQuery, CapturedFrame, Client,
    ClientError, printable, thousands,
};
use loadlock_capture::{CaptureWriteError, CommentedFrame, PcapngWriter};
use serde::de::Error;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::control::flag_of;
use crate::exit;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::policy::seconds;
use crate::reach::Reach;
use crate::units::counted;

/// Frames of one answer.
const PAGE_FRAMES: u32 = 500;
/// Between two questions while nothing comes.
const PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `packets`.
#[derive(Args)]
pub struct Arguments {
    /// A device of the policy in force, or an IP or MAC address: frames from and to it
    device: String,
    /// The file to write; one that exists is never written over. - is standard output, for wireshark -k -i - or tcpdump -r -
    #[arg(default_value = "-")]
    file: PathBuf,
    /// End after this time, at most 10m
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = time)]
    time: u32,
    /// End after so many frames
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(CAPTURE_FRAMES_MAX)))]
    frames: u32,
    /// Also frames that are forwarded; without it those that are denied, and in monitor those that would be
    #[arg(long)]
    all: bool,
    /// Whole frames, up to 2,048 bytes; without it the headers alone
    #[arg(long)]
    payload: bool,
    #[command(flatten)]
    reach: Reach,
    /// How to write the summary; not with standard output as the file
    #[command(flatten)]
    output: Output,
}

fn time(text: &str) -> Result<u32, String> {
    let found = seconds(text)?;
    u32::try_from(found).ok().filter(|found| *found <= CAPTURE_S_MAX).ok_or_else(|| {
        format!("allowed is a time such as 30s or 5m, up to {} min", CAPTURE_S_MAX / 60)
    })
}

/// Where the capture goes.
struct Sink<'a> {
    path: Option<&'a Path>,
    writer: PcapngWriter<Box<dyn Write>>,
}

impl<'a> Sink<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        let (path, writer): (_, Box<dyn Write>) = if path == Path::new("-") {
            if io::stdout().is_terminal() {
                let message = "a terminal can't show a capture: name a file, or pipe it into wireshark -k -i - or tcpdump -r -";
                return Err(Failure::Usage(message.to_owned()));
            }
            (None, Box::new(io::stdout()))
        } else {
            // What devices say to each other is nobody else's business.
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(path);
            let file = file.map_err(|source| Failure::Write { path: path.to_owned(), source })?;
            (Some(path), Box::new(file))
        };
        let application = concat!("loadlock ", env!("CARGO_PKG_VERSION"));
        let writer = PcapngWriter::new(writer, application);
        let writer = writer.map_err(|error| failure(path, error))?;
        Ok(Self { path, writer })
    }

    fn write(&mut self, frame: &CapturedFrame) -> Result<(), Failure> {
        let data = bytes(&frame.data).ok_or_else(|| {
            let problem = format!("frame {} isn't in hexadecimal", frame.number);
            let (endpoint, source) =
                ("GET /v1/captures".to_owned(), serde_json::Error::custom(problem));
            Failure::Client(ClientError::Unreadable { endpoint, source })
        })?;
        let interface = format!("{} {}", frame.segment, frame.side.name());
        let written = self.writer.write(&CommentedFrame {
            interface: &printable(&interface),
            time_ns: frame.time.ns(),
            frame_bytes: frame.frame_bytes,
            data: &data,
            comment: &printable(&comment(frame)),
        });
        written.map_err(|error| failure(self.path, error))
    }
}

fn failure(path: Option<&Path>, error: CaptureWriteError) -> Failure {
    let source = match error {
        CaptureWriteError::Write { source, .. } => source,
        other => io::Error::other(other),
    };
    match path {
        Some(path) => Failure::Write { path: path.to_owned(), source },
        None => Failure::Output(source),
    }
}

/// What Wireshark shows beside the frame.
fn comment(frame: &CapturedFrame) -> String {
    match (&frame.reason, &frame.reason_meaning, frame.rule) {
        (Some(reason), Some(meaning), _) => format!("{} {reason}: {meaning}", frame.verdict),
        (_, _, Some(rule)) => format!("{} by rule {rule}", frame.verdict),
        _ => frame.verdict.clone(),
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pair = |pair: &[u8]| Some((digit(&pair[0])? << 4 | digit(pair.get(1)?)?) as u8);
    text.as_bytes().chunks(2).map(pair).collect()
}

impl Arguments {
    /// Captures until it is over, or the user has seen enough.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Write`], [`Failure::Output`], [`Failure::Usage`].
    pub fn run(&self) -> Result<u8, Failure> {
        let client = self.reach.connect()?;
        let stop = flag_of(&[SIGINT, SIGTERM])?;
        let mut sink = Sink::open(&self.file)?;
        let body = CaptureBody {
            device: self.device.clone(),
            seconds: self.time,
            frames: self.frames,
            all: self.all,
            payload: self.payload,
        };
        let begun = client.start_capture(&body).inspect_err(|_| self.leave_nothing());
        let begun = begun?;
        let fetched = self.fetch(&client, begun.id, &mut sink, &stop);
        if fetched.is_err() {
            // Else nobody could capture for some seconds; that it can't be stopped adds nothing to what went wrong.
            drop(client.stop_capture(begun.id));
        }
        let capture = fetched?;
        let finished = sink.writer.finish(capture.until.ns(), capture.lost);
        finished.map_err(|error| failure(sink.path, error))?;
        match sink.path {
            Some(path) => self.output.show(&capture, |capture| summary(capture, path))?,
            None => output::complain(summary(&capture, Path::new("standard output")).trim_end()),
        }
        Ok(exit::OK)
    }

    /// The file that was made for a capture that never began.
    fn leave_nothing(&self) {
        if self.file != Path::new("-") {
            drop(std::fs::remove_file(&self.file));
        }
    }

    fn fetch(
        &self,
        client: &Client,
        id: u64,
        sink: &mut Sink<'_>,
        stop: &AtomicBool,
    ) -> Result<Capture, Failure> {
        let mut after = 0;
        loop {
            if stop.swap(false, Ordering::Relaxed) {
                client.stop_capture(id)?;
            }
            let page = client.captured(CaptureQuery { id, after, limit: PAGE_FRAMES })?;
            for frame in &page.frames {
                sink.write(frame)?;
                after = frame.number;
            }
            if page.frames.len() < PAGE_FRAMES as usize {
                if page.capture.ended.is_some() {
                    return Ok(page.capture);
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn summary(capture: &Capture, path: &Path) -> String {
    let mut out = format!(
        "{} of {} to {}; ended: {}\n",
        counted(capture.frames, "frame", "frames"),
        printable(&capture.device),
        printable(&path.display().to_string()),
        printable(capture.ended.as_deref().unwrap_or("not yet"))
    );
    if capture.lost > 0 {
        out.push_str(&format!(
            "{} more weren't captured: they came faster than they could be taken\n",
            thousands(capture.lost)
        ));
    }
    if capture.damaged > 0 {
        out.push_str(&format!(
            "{} records in the shared memory were damaged and thrown away; restart the dataplane\n",
            thousands(capture.damaged)
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_and_nothing_else() {
        assert!(bytes("").unwrap().is_empty());
        assert_eq!(bytes("00ff7F").unwrap(), [0, 255, 127]);
        for text in ["0", "0g", "000", "é", "+1"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
