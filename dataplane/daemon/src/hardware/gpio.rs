//! A relay at lines of GPIO, by the kernel's character device (`linux/gpio.h`, version 2 of its interface).
//!
//! ```text
//!   pulse   ─┐_┌─┐_┌──────────     an edge with each heartbeat; the relay joins the cables when there is none for its time
//!   arm     ┌────────┐________     active from arm to disarm, where there is such a line
//! ```
//! Both lines are given back when the process ends, and with it the edges: a kernel keeps an output's last level, so that a level
//! alone would hold the cables apart for ever.

use std::fs::{File, OpenOptions};
use std::io;

use gpiocdev_uapi::v2::{
    LineConfig, LineFlags, LineRequest, LineValues, Offsets, get_line, set_line_values,
};
use gpiocdev_uapi::{self as uapi};
use loadlock_settings::GpioLine;

use super::{Driver, Word};

/// Shown by `gpioinfo` as the lines' user.
const CONSUMER: &str = "loadlock";

/// A relay's lines, requested at the first word and again after a failure.
pub struct Gpio {
    pulse: GpioLine,
    arm: Option<GpioLine>,
    held: Option<Held>,
    /// The level of the pulse line, and whether the cables are to be apart.
    level: bool,
    apart: bool,
}

struct Held {
    pulse: File,
    arm: Option<File>,
}

impl Gpio {
    /// Nothing is opened before the first word.
    pub fn new(pulse: GpioLine, arm: Option<GpioLine>) -> Self {
        Self { pulse, arm, held: None, level: false, apart: false }
    }

    fn request_all(&self) -> Result<Held, String> {
        Ok(Held {
            pulse: request(&self.pulse, self.level)?,
            arm: self.arm.as_ref().map(|line| request(line, self.apart)).transpose()?,
        })
    }

    /// Sets both lines to what they are to be.
    fn set(&mut self) -> Result<(), String> {
        let held = match self.held.take() {
            Some(held) => held,
            None => self.request_all()?,
        };
        // The lines are only kept if both could be set: else they are requested anew.
        set(&self.pulse, &held.pulse, self.level)?;
        if let (Some(line), Some(file)) = (&self.arm, &held.arm) {
            set(line, file, self.apart)?;
        }
        self.held = Some(held);
        Ok(())
    }
}

impl Driver for Gpio {
    fn say(&mut self, word: Word) -> Result<(), String> {
        match word {
            Word::Arm => self.apart = true,
            Word::Heartbeat => self.level = !self.level,
            Word::Disarm => self.apart = false,
        }
        self.set()
    }
}

/// Makes a line an output of that value; the file is the right to it.
fn request(line: &GpioLine, active: bool) -> Result<File, String> {
    let chip = OpenOptions::new().read(true).write(true).open(&line.chip).map_err(|error| {
        format!(
            "{} can't be opened: {error}; the user of this process needs read and write permission (a udev rule for the chip, \
             see 60-loadlock.rules)",
            line.chip.display()
        )
    })?;
    let polarity = if line.active_low { LineFlags::ACTIVE_LOW } else { LineFlags::empty() };
    let mut config = LineConfig { flags: LineFlags::OUTPUT | polarity, ..LineConfig::default() };
    config.add_values(&LineValues::from_slice(&[active]));
    let request = LineRequest {
        offsets: Offsets::from_slice(&[line.line]),
        consumer: CONSUMER.into(),
        config,
        num_lines: 1,
        ..LineRequest::default()
    };
    get_line(&chip, request).map_err(|error| {
        let next = match cause(&error).raw_os_error() {
            Some(libc::EBUSY) => "somebody else uses it: gpioinfo says who",
            Some(libc::EINVAL) => "the chip has no such line: gpioinfo lists them",
            Some(libc::ENOTTY) => "the file is no GPIO chip: gpiodetect lists them",
            _ => "check `bypass_gpio`",
        };
        format!("line {line} can't be had: {error}; {next}")
    })
}

fn set(line: &GpioLine, file: &File, active: bool) -> Result<(), String> {
    set_line_values(file, &LineValues::from_slice(&[active])).map_err(|error| {
        format!("line {line} can't be set: {error}; check that its chip is still there")
    })
}

fn cause(error: &uapi::Error) -> io::Error {
    match error {
        uapi::Error::Os(errno) => io::Error::from_raw_os_error(errno.0),
        uapi::Error::UnderRead(_) => io::ErrorKind::UnexpectedEof.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_chip_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let chip = folder.path().join("gpiochip0");
        let line = GpioLine { chip: chip.clone(), line: 3, active_low: false };
        let mut relay = Gpio::new(line, None);
        let absent = relay.say(Word::Arm).unwrap_err();
        assert!(absent.contains("can't be opened") && absent.contains("udev"), "{absent}");
        std::fs::write(&chip, "").unwrap();
        let plain = relay.say(Word::Heartbeat).unwrap_err();
        assert!(
            plain.contains("gpiochip0:3 can't be had") && plain.contains("no GPIO chip"),
            "{plain}"
        );
    }
}
