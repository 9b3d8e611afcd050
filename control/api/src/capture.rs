//! Captures on the wire: the frames of a device, as they came in, with what became of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;
use crate::traffic::Side;

/// Longest capture, in seconds.
pub const CAPTURE_S_MAX: u32 = 600;
/// Most frames of a capture.
pub const CAPTURE_FRAMES_MAX: u32 = 10_000;
/// A capture that nobody asks for ends after so many seconds.
pub const CAPTURE_UNASKED_S: u32 = 10;

/// Body of `POST /v1/captures`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureBody {
    /// A device of the policy in force, or an IP or MAC address; frames to and from it are captured.
    pub device: String,
    /// For how long, 1 to [`CAPTURE_S_MAX`].
    pub seconds: u32,
    /// At most so many, 1 to [`CAPTURE_FRAMES_MAX`].
    pub frames: u32,
    /// Also frames that are forwarded; else only denied ones, and in `monitor` those that would be.
    #[serde(default)]
    pub all: bool,
    /// The whole frame, up to 2,048 bytes; else its headers alone.
    #[serde(default)]
    pub payload: bool,
}

/// A capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capture {
    /// Its number, for further requests.
    pub id: u64,
    /// Whose frames, with the addresses.
    pub device: String,
    /// Who wants them.
    pub author: String,
    /// Also forwarded frames.
    pub all: bool,
    /// Whole frames.
    pub payload: bool,
    /// Since when every worker captures.
    pub since: Time,
    /// When it ends at the latest.
    pub until: Time,
    /// Most frames.
    pub frames_max: u32,
    /// Frames captured so far.
    pub frames: u64,
    /// Frames that should have been captured and weren't, because a worker's ring was full.
    pub lost: u64,
    /// Records of workers that couldn't be read and were thrown away; above 0 the shared memory is damaged.
    pub damaged: u64,
    /// Why it has ended; null while it goes on.
    pub ended: Option<String>,
}

/// A captured frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapturedFrame {
    /// From 1, in the order in which control got them.
    pub number: u64,
    /// When it came in, by the dataplane's clock.
    pub time: Time,
    /// On which segment.
    pub segment: String,
    /// From which side.
    pub side: Side,
    /// `allow`, `would-deny`, `deny`, or `unjudged` in bypass.
    pub verdict: String,
    /// Name of the reason, such as `no_rule`; null unless denied.
    pub reason: Option<String>,
    /// The reason, for people.
    pub reason_meaning: Option<String>,
    /// Number of the rule that permits it.
    pub rule: Option<u32>,
    /// Its length without FCS.
    pub frame_bytes: u32,
    /// Its first bytes, in hexadecimal.
    pub data: String,
}

/// Answer to `GET /v1/captures/{id}/frames`: what has come since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapturePage {
    /// How it stands.
    pub capture: Capture,
    /// Frames with numbers above the one asked for, in order.
    pub frames: Vec<CapturedFrame>,
}

/// What `GET /v1/captures/{id}/frames` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureQuery {
    /// Which capture.
    pub id: u64,
    /// Number of the last frame that the client has, 0 before the first; control forgets it and those before.
    pub after: u64,
    /// Most frames.
    pub limit: u32,
}
