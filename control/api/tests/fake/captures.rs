//! Fixed answers about captures.

use loadlock_api::*;

use super::NOW_NS;

/// A capture of `body` that has brought [`captured_frames`] and ended.
pub fn capture(body: &CaptureBody, author: &str) -> Capture {
    Capture {
        id: 7,
        device: format!("{} (10.0.1.7)", body.device),
        author: author.to_owned(),
        all: body.all,
        payload: body.payload,
        since: Time::from_ns(NOW_NS),
        until: Time::from_ns(NOW_NS + u64::from(body.seconds) * 1_000_000_000),
        frames_max: body.frames,
        frames: captured_frames().len() as u64,
        lost: 12_345,
        damaged: 0,
        ended: Some("its time is over".to_owned()),
    }
}

pub fn captured_frames() -> Vec<CapturedFrame> {
    let frame = |number: u64, side, verdict: &str, reason: Option<&str>, rule| CapturedFrame {
        number,
        time: Time::from_ns(NOW_NS + number),
        segment: "fab".to_owned(),
        side,
        verdict: verdict.to_owned(),
        reason: reason.map(str::to_owned),
        reason_meaning: reason.map(|_| "no rule permits\u{1b} this".to_owned()),
        rule,
        frame_bytes: 1_514,
        data: "0200000000010200000000020800".to_owned(),
    };
    vec![
        frame(1, Side::A, "deny", Some("no_rule"), None),
        frame(2, Side::B, "allow", None, Some(812)),
        frame(3, Side::A, "unjudged", None, None),
    ]
}
