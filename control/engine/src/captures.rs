//! Frames of a device that a person wants to see: one capture at a time, recorded first, then ordered, kept in memory until fetched.
//!
//! Everything has an end: time and frames by the order itself, which holds without control; a client that has gone by
//! [`CAPTURE_UNASKED_S`]; what was captured by [`KEPT`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use loadlock_api::{
    BackendError, CAPTURE_UNASKED_S, Capture, CaptureBody, CapturePage, CaptureQuery, Time,
};
use loadlock_exchange::{
    CAPTURE_ADDRESSES_MAX, CAPTURE_FRAME_BYTES_MAX, CaptureAddress, CaptureOrder, CaptureVerdict,
    CapturedFrame, ControlExchange, DataplaneState, Reassembly, WorkerCounter,
};
use loadlock_policy::AddressMatch;
use loadlock_settings::Settings;
use loadlock_store::Action;

use crate::answers::{conflict, store_error};
use crate::core::{Core, now_ns};

// The exchange and the API don't know each other.
const _: () = assert!(loadlock_api::CAPTURE_S_MAX == loadlock_exchange::CAPTURE_S_MAX);
const _: () = assert!(loadlock_api::CAPTURE_FRAMES_MAX == loadlock_exchange::CAPTURE_FRAMES_MAX);

/// Workers take an order up within a ms of theirs.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what was captured is kept for a client that asks no more.
const KEPT: Duration = Duration::from_secs(60);

/// The capture that goes on, or the last one.
#[derive(Default)]
pub(crate) struct Captures {
    last: Option<Kept>,
    /// Of each worker.
    parts: Vec<Reassembly>,
}

struct Kept {
    shown: Capture,
    /// The order's number.
    number: u64,
    until: Instant,
    asked: Instant,
    damaged_before: u64,
    /// Those that the client hasn't acknowledged, with their numbers.
    frames: VecDeque<(u64, CapturedFrame)>,
}

impl Captures {
    /// Takes what the workers have captured; what nobody wants any more is thrown away.
    pub fn drain(&mut self, exchange: &mut ControlExchange) {
        self.parts.resize_with(exchange.captures.len(), Reassembly::default);
        let last = &mut self.last;
        for (ring, parts) in exchange.captures.iter_mut().zip(&mut self.parts) {
            let mut take = |frame: CapturedFrame| {
                let kept = last.as_mut().filter(|kept| kept.number == frame.number);
                if let Some(kept) = kept.filter(|kept| !kept.is_full()) {
                    kept.shown.frames += 1;
                    kept.frames.push_back((kept.shown.frames, frame));
                }
            };
            ring.read_burst(u64::MAX, |record| parts.take(record).into_iter().for_each(&mut take));
            ring.release();
        }
        let Some(kept) = &mut self.last else { return };
        kept.shown.damaged = damaged(&self.parts) - kept.damaged_before;
    }

    /// Why the capture is over now; `None`: it isn't, or was before.
    fn end(&self, exchange: Option<&ControlExchange>, now: Instant) -> Option<&'static str> {
        let kept = self.last.as_ref().filter(|kept| kept.shown.ended.is_none())?;
        let is_ordered = exchange.is_some_and(|exchange| takes_up(exchange, kept.number));
        if kept.is_full() {
            Some("as many frames as were asked for")
        } else if now >= kept.until {
            Some("its time is over")
        } else if !is_ordered {
            Some("the dataplane has ended or started anew")
        } else if now.duration_since(kept.asked) >= Duration::from_secs(CAPTURE_UNASKED_S.into()) {
            Some("nobody asked for its frames any more")
        } else {
            None
        }
    }

    fn of(&mut self, id: u64) -> Result<&mut Kept, BackendError> {
        let kept = self.last.as_mut().filter(|kept| kept.shown.id == id);
        kept.ok_or_else(|| conflict(format!("capture {id} is forgotten"), "start another one"))
    }
}

impl Kept {
    fn is_full(&self) -> bool {
        self.shown.frames >= self.shown.frames_max.into()
    }
}

fn damaged(parts: &[Reassembly]) -> u64 {
    parts.iter().map(Reassembly::damaged).sum()
}

/// Has every worker taken the order up?
fn takes_up(exchange: &ControlExchange, number: u64) -> bool {
    let mut workers = 0..exchange.dimensions().workers;
    workers.all(|at| exchange.worker_value(at, WorkerCounter::CaptureNumber) == number)
}

/// The device's addresses as the exchange takes them.
fn places(
    device: &str,
    addresses: &[AddressMatch],
) -> Result<[Option<CaptureAddress>; CAPTURE_ADDRESSES_MAX], BackendError> {
    if addresses.len() > CAPTURE_ADDRESSES_MAX {
        return Err(conflict(
            format!(
                "{device} has {} addresses, allowed are {CAPTURE_ADDRESSES_MAX}",
                addresses.len()
            ),
            "name one of its addresses",
        ));
    }
    let place = |address: &AddressMatch| match *address {
        AddressMatch::Ip(prefix) => {
            Some(CaptureAddress::Ip { address: prefix.address(), bits: prefix.bits() })
        }
        AddressMatch::Mac(mac) => Some(CaptureAddress::Mac(mac)),
        AddressMatch::Any => None,
    };
    let mut places = addresses.iter().filter_map(place);
    Ok(std::array::from_fn(|_| places.next()))
}

/// For the audit log.
fn note(device: &str, body: &CaptureBody) -> String {
    format!(
        "{device}: {} frames, {}, at most {} frames and {} s",
        if body.all { "all" } else { "denied" },
        if body.payload { "whole" } else { "headers only" },
        body.frames,
        body.seconds
    )
}

impl Core {
    /// Records it, orders it, and waits until every worker does it.
    pub(crate) fn start_capture(
        &mut self,
        addresses: &[AddressMatch],
        device: String,
        body: &CaptureBody,
        author: String,
    ) -> Result<Capture, BackendError> {
        if let Some(Kept { shown, .. }) = &self.captures.last
            && shown.ended.is_none()
        {
            return Err(conflict(
                format!("{} captures {} until {}", shown.author, shown.device, shown.until),
                "wait for its end; there is one capture at a time",
            ));
        }
        let addresses = places(&device, addresses)?;
        let running =
            |exchange: &&ControlExchange| exchange.dataplane().state == DataplaneState::Running;
        if self.exchange.as_ref().filter(running).is_none() {
            let reason = "the dataplane isn't running, there are no frames".to_owned();
            return Err(conflict(reason, "start loadlock-dataplane; `loadlock status` says more"));
        }
        let (actor, note) = (author.clone(), note(&device, body));
        self.storage
            .with(move |store| store.record_action(Action::Captured, now_ns(), &actor, &note))
            .map_err(store_error)?;
        let time = Duration::from_secs(body.seconds.into());
        let order = CaptureOrder {
            addresses,
            all: body.all,
            payload: body.payload,
            frame_bytes_max: CAPTURE_FRAME_BYTES_MAX,
            frames_max: body.frames,
            time,
        };
        let number = self.order(&order)?;
        let (now, since_ns) = (Instant::now(), now_ns());
        let id_before = self.captures.last.as_ref().map_or(0, |kept| kept.shown.id);
        let shown = Capture {
            id: (since_ns / 1_000_000).max(id_before + 1),
            device,
            author,
            all: body.all,
            payload: body.payload,
            since: Time::from_ns(since_ns),
            until: Time::from_ns(since_ns + u64::from(body.seconds) * 1_000_000_000),
            frames_max: body.frames,
            frames: 0,
            lost: 0,
            damaged: 0,
            ended: None,
        };
        self.captures.last = Some(Kept {
            shown: shown.clone(),
            number,
            until: now + time,
            asked: now,
            damaged_before: damaged(&self.captures.parts),
            frames: VecDeque::new(),
        });
        Ok(shown)
    }

    /// Returns the order's number once every worker captures.
    fn order(&mut self, order: &CaptureOrder) -> Result<u64, BackendError> {
        let Some(exchange) = &self.exchange else {
            return Err(conflict("the dataplane has gone".to_owned(), "try again"));
        };
        let number = exchange.capture(Some(order));
        let deadline = Instant::now() + PATIENCE;
        while !takes_up(exchange, number) {
            if Instant::now() >= deadline {
                exchange.capture(None);
                let reason = format!("not every worker captures after {} s", PATIENCE.as_secs());
                return Err(conflict(reason, "`loadlock status` says which worker stands still"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(number)
    }

    /// Ends what is over, and forgets what nobody fetches.
    pub(crate) fn end_capture_if_due(&mut self, now: Instant) {
        if let Some(why) = self.captures.end(self.exchange.as_ref(), now) {
            self.end_capture(why);
        }
        let forget =
            |kept: &mut Kept| kept.shown.ended.is_some() && now.duration_since(kept.asked) >= KEPT;
        self.captures.last.take_if(forget);
    }

    /// The workers stop by themselves too; what they captured before they did is taken along.
    fn end_capture(&mut self, why: &str) {
        self.count_lost();
        if let Some(exchange) = &mut self.exchange {
            exchange.capture(None);
            self.captures.drain(exchange);
        }
        if let Some(kept) = &mut self.captures.last {
            kept.shown.ended = Some(why.to_owned());
        }
    }

    /// The workers' own count, as long as it is of this order.
    fn count_lost(&mut self) {
        let (Some(exchange), Some(kept)) = (&self.exchange, &mut self.captures.last) else {
            return;
        };
        if kept.shown.ended.is_none() && takes_up(exchange, kept.number) {
            let lost = |at| exchange.worker_value(at, WorkerCounter::CaptureLost);
            kept.shown.lost = (0..exchange.dimensions().workers).map(lost).sum();
        }
    }

    /// What has come since.
    pub(crate) fn captured(&mut self, query: CaptureQuery) -> Result<CapturePage, BackendError> {
        self.count_lost();
        let kept = self.captures.of(query.id)?;
        kept.asked = Instant::now();
        while kept.frames.front().is_some_and(|(number, _)| *number <= query.after) {
            kept.frames.pop_front();
        }
        let frames = kept.frames.iter().take(query.limit as usize);
        let frames = frames.map(|(number, frame)| shown(&self.settings, *number, frame)).collect();
        Ok(CapturePage { capture: kept.shown.clone(), frames })
    }

    /// Ends it because a client says so.
    pub(crate) fn stop_capture(&mut self, id: u64) -> Result<Capture, BackendError> {
        if self.captures.of(id)?.shown.ended.is_none() {
            self.end_capture("it was stopped");
        }
        Ok(self.captures.of(id)?.shown.clone())
    }
}

fn shown(settings: &Settings, number: u64, frame: &CapturedFrame) -> loadlock_api::CapturedFrame {
    let (verdict, reason, rule) = match frame.verdict {
        CaptureVerdict::Allowed(rule) => ("allow", None, rule),
        CaptureVerdict::WouldDeny(reason) => ("would-deny", Some(reason), None),
        CaptureVerdict::Denied(reason) => ("deny", Some(reason), None),
        CaptureVerdict::Unjudged => ("unjudged", None, None),
    };
    let segment = settings.segments.get(frame.segment.index());
    loadlock_api::CapturedFrame {
        number,
        time: Time::from_ns(frame.time_ns),
        segment: segment.map_or_else(|| "?".to_owned(), |segment| segment.name.to_string()),
        side: frame.side.into(),
        verdict: verdict.to_owned(),
        reason: reason.map(|reason| reason.name().to_owned()),
        reason_meaning: reason.map(|reason| reason.meaning().to_owned()),
        rule: rule.map(loadlock_exchange::RuleId::number),
        frame_bytes: frame.frame_bytes,
        data: crate::answers::hexadecimal(&frame.data),
    }
}
