//! `loadlock observe`: the latest events, or every event from now on.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use loadlock_api::{
    Client, ClientError, EventFilter, EventKind, EventLine, EventStream, LIMIT_MAX, StreamItem,
    Verdict, printable, thousands,
};

use loadlock_exchange::DropReason;

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
    /// Only events of these segments, divided by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    segment: Vec<String>,
    /// Only conversations of which this is one end: an IP or MAC address, or a device by name
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Only conversations of these services, such as tcp/5000, divided by commas
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    service: Vec<String>,
    /// Only events with these verdicts, divided by commas
    #[arg(long, value_name = "VERDICT", value_delimiter = ',', value_parser = verdict_parser())]
    verdict: Vec<Verdict>,
    /// Only denials for these reasons, such as no_rule, divided by commas
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = reason_parser())]
    reason: Vec<DropReason>,
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

fn verdict_parser() -> impl TypedValueParser<Value = Verdict> {
    const ALL: [Verdict; 3] = [Verdict::Allow, Verdict::WouldDeny, Verdict::Deny];
    let names = PossibleValuesParser::new(ALL.map(Verdict::name));
    names.try_map(|name| ALL.into_iter().find(|one| one.name() == name).ok_or("no such verdict"))
}

fn reason_parser() -> impl TypedValueParser<Value = DropReason> {
    let names = PossibleValuesParser::new(DropReason::ALL.iter().map(|reason| reason.name()));
    let named = |name: &str| DropReason::ALL.iter().find(|reason| reason.name() == name).copied();
    names.try_map(move |name| named(&name).ok_or("no such reason"))
}

/// What the API doesn't filter: several addresses of one device, and services.
#[derive(Default)]
struct Wanted {
    addresses: Vec<String>,
    services: Vec<String>,
}

impl Wanted {
    fn is_all(&self) -> bool {
        self.addresses.is_empty() && self.services.is_empty()
    }

    fn fits(&self, event: &EventLine) -> bool {
        let among = |list: &[String], word: &String| list.is_empty() || list.contains(word);
        let ends = [&event.client, &event.server];
        (self.addresses.is_empty() || ends.iter().any(|end| self.addresses.contains(end)))
            && among(&self.services, &event.service)
    }
}

impl Arguments {
    /// The filter for control, and what is left to filter here.
    fn filter(&self, client: &Client) -> Result<(EventFilter, Wanted), Failure> {
        let mut wanted = Wanted { addresses: Vec::new(), services: self.service.clone() };
        let mut filter = EventFilter {
            segments: self.segment.clone(),
            reasons: self.reason.clone(),
            verdicts: self.verdict.clone(),
            ..EventFilter::of_kinds(&self.kind)
        };
        if let Some(device) = &self.device {
            match device.parse() {
                Ok(address) => filter.address = Some(address),
                Err(_) => wanted.addresses = client.device(device)?.addresses,
            }
        }
        Ok((filter, wanted))
    }

    /// Shows events.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let client = self.reach.connect()?;
        let (filter, wanted) = self.filter(&client)?;
        if self.follow {
            return self.run_following(client.events(&filter)?, &wanted);
        }
        let count = self.count.unwrap_or(COUNT_DEFAULT);
        let mut events =
            client.recent_events(&filter, if wanted.is_all() { count } else { LIMIT_MAX })?;
        if !wanted.is_all() {
            events.items.retain(|event| wanted.fits(event));
            events.total = events.items.len() as u64;
            events.items.drain(..events.items.len().saturating_sub(count as usize));
        }
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
    fn run_following(&self, mut stream: EventStream<'_>, wanted: &Wanted) -> Result<u8, Failure> {
        let zone = LocalTime::here();
        let mut shown = 0;
        while self.count.is_none_or(|count| shown < count) {
            match stream.next() {
                Some(Ok(StreamItem::Event(event))) if !wanted.fits(&event) => {}
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
    let id = event.denial_id().map(|id| format!("  [{id}]")).unwrap_or_default();
    format!("{time}  {:<7}  {segment}  {words}{id}", event.kind)
}
