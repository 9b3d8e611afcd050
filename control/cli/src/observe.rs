//! `loadlock observe`: the latest events, or every event from now on.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use loadlock_api::{
    ClientError, EventFilter, EventKind, EventLine, EventStream, LIMIT_MAX, StreamItem, printable,
    thousands,
};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::{self, Format, Output};
use crate::reach::Reach;
use crate::units::counted;

/// Events shown without `-f` and `--count`.
const COUNT_DEFAULT: u32 = 20;
/// Time between two attempts to reach a control that went away.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// Arguments of `observe`.
#[derive(Args)]
pub struct Arguments {
    /// Show events as they happen, also over restarts of control, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Only events of these kinds, divided by commas
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind_parser())]
    kind: Vec<EventKind>,
    /// At most so many: the latest [default: 20], or with -f the next ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    count: Option<u32>,
    #[command(flatten)]
    reach: Reach,
    /// With json, each event is one line
    #[command(flatten)]
    output: Output,
}

fn kind_parser() -> impl TypedValueParser<Value = EventKind> {
    let names = PossibleValuesParser::new(EventKind::ALL.map(EventKind::name));
    names.try_map(|name| EventKind::from_name(&name).ok_or("no such kind"))
}

impl Arguments {
    /// Shows events.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let client = self.reach.connect()?;
        if self.follow {
            return self.run_following(client.events(&EventFilter::of_kinds(&self.kind))?);
        }
        let events = client.recent_events(
            &EventFilter::of_kinds(&self.kind),
            self.count.unwrap_or(COUNT_DEFAULT),
        )?;
        let zone = LocalTime::here();
        for event in &events.items {
            self.show(&StreamItem::Event(Box::new(event.clone())), &zone)?;
        }
        if events.is_cut() && self.count.is_none() {
            output::complain(&format!(
                "the latest {} of {} events that control kept; --count shows more",
                events.items.len(),
                thousands(events.total)
            ));
        }
        Ok(exit::OK)
    }

    /// Follows until `count` events were shown, or for ever.
    fn run_following(&self, mut stream: EventStream<'_>) -> Result<u8, Failure> {
        let zone = LocalTime::here();
        let mut shown = 0;
        while self.count.is_none_or(|count| shown < count) {
            match stream.next() {
                Some(Ok(item)) => {
                    self.show(&item, &zone)?;
                    shown += u32::from(matches!(item, StreamItem::Event(_)));
                }
                Some(Err(error)) if !error.is_unreachable() => return Err(error.into()),
                ended => return_to(&mut stream, ended.and_then(Result::err))?,
            }
        }
        Ok(exit::OK)
    }

    fn show(&self, item: &StreamItem, zone: &LocalTime) -> Result<(), Failure> {
        let line = match (self.output.format, item) {
            (Format::Json, item) => loadlock_api::to_json(item).map_err(std::io::Error::from)?,
            (Format::Table | Format::Wide, StreamItem::Event(event)) => render(event, zone),
            (Format::Table | Format::Wide, StreamItem::Lost(lost)) => match lost.count {
                Some(count) => format!(
                    "  … {} lost here: they came faster than they were read",
                    counted(count, "event", "events")
                ),
                None => "  … control was restarted; events meanwhile aren't shown".to_owned(),
            },
        };
        Ok(output::write(&(line + "\n"))?)
    }
}

/// Waits until control is back. What was missed comes from the stream as lost.
fn return_to(stream: &mut EventStream<'_>, error: Option<ClientError>) -> Result<(), Failure> {
    let cause = error.map_or("it ended the stream".to_owned(), |error| error.to_string());
    let cause = cause.lines().next().unwrap_or_default().to_owned();
    output::complain(&format!(
        "control went away ({cause}); trying every second to reach it again"
    ));
    loop {
        std::thread::sleep(RETRY_TIME);
        match stream.reconnect() {
            Ok(()) => {
                output::complain("control is back");
                return Ok(());
            }
            Err(error) if error.is_unreachable() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn render(event: &EventLine, zone: &LocalTime) -> String {
    let (time, segment, words) =
        (zone.milliseconds(event.time), printable(&event.segment), printable(&event.words));
    format!("{time}  {:<7}  {segment}  {words}", event.kind)
}
