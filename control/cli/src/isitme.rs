//! `loadlock isitme`: has Loadlock blocked this device?

use clap::Args;
use loadlock_api::{IsItMe, printable, thousands};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::policy::Ends;

/// Arguments of `isitme`.
#[derive(Args)]
pub struct Arguments {
    /// A device of the policy in force, or an address
    device: String,
    #[command(flatten)]
    ends: Ends,
}

impl Arguments {
    /// Asks, and prints the answer.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let answer = self.ends.connect()?.is_it_me(&self.device)?;
        self.ends.output.show(&answer, render)?;
        Ok(exit::OK)
    }
}

fn render(answer: &IsItMe) -> String {
    let mut out = format!("{}\n", printable(&answer.answer));
    for denial in &answer.denials {
        out.push_str(&format!(
            "\n{} on segment {}: {}, {} connections, {} packets, {} to {}\n  why: {}; {}\n  next: {}\n",
            printable(&denial.tuple),
            printable(&denial.segment),
            denial.verdict,
            thousands(denial.conversations),
            thousands(denial.packets),
            LocalTime::here().seconds(denial.since),
            LocalTime::here().seconds(denial.last),
            printable(&denial.reason),
            printable(&denial.cause),
            printable(&denial.next_step)
        ));
    }
    let forgotten = match answer.forgotten {
        0 => String::new(),
        count => format!(
            "; {} kinds of denied conversations were forgotten since, for want of room",
            thousands(count)
        ),
    };
    out.push_str(&format!(
        "\nit can't know what was before {}{forgotten}\n",
        LocalTime::here().seconds(answer.watching_since)
    ));
    out
}
