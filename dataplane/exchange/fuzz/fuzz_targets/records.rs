//! Any words as an event's record, as the records of captured frames, and as a policy slot: read, or refused with a reason; never a panic, never a rule that isn't there.
//!
//! Input: byte 0 modulo 3: a record, a slot, or the records of a capture. Then words, little-endian. A slot's checksum is made right by byte 1, so that what lies
//! behind it is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loadlock_exchange::{
    CAPTURE_FRAME_BYTES_MAX, Event, Policy, PolicyImage, RECORD_WORDS, Reassembly, Seed,
    SegmentPolicy, verify,
};
use loadlock_packet::{FlowKey, NarrowKey, SegmentId, Side, WideKey};

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<8>().0.iter().map(|eight| u64::from_le_bytes(*eight))
}

fuzz_target!(|input: &[u8]| {
    let [kind, patch, bytes @ ..] = input else { return };
    if kind % 3 == 2 {
        let mut reassembly = Reassembly::default();
        let words: Vec<u64> = words(bytes).collect();
        for part in words.chunks(RECORD_WORDS) {
            let mut record = [0; RECORD_WORDS];
            record[..part.len()].copy_from_slice(part);
            if let Some(frame) = reassembly.take(&record) {
                assert!(
                    frame.data.len() <= CAPTURE_FRAME_BYTES_MAX.min(frame.frame_bytes as usize)
                );
            }
        }
        return;
    }
    if kind % 3 == 0 {
        let mut record = [0; RECORD_WORDS];
        record.iter_mut().zip(words(bytes)).for_each(|(to, from)| *to = from);
        if let Ok(event) = Event::decode(&record) {
            assert_eq!(Event::decode(&event.encode()), Ok(event));
        }
        return;
    }
    let mut slot: Vec<u64> = words(bytes).collect();
    let image = PolicyImage::compile(1, &[SegmentPolicy::CLOSED], &[], Seed([1, 2]), 0).unwrap();
    if patch & 1 == 1 && slot.len() >= image.words().len() {
        // A header that is nearly right.
        slot[0] = image.words()[0];
        slot[2] = slot.len() as u64;
    }
    let _ = verify(&slot);
    if let Ok(policy) = Policy::read(&slot) {
        let view = policy.view(&slot, 1);
        for number in 0..16 {
            let _ = view.segment(SegmentId::new(number).unwrap());
        }
        for bits in [0, u64::from(*patch) << 32, u64::MAX] {
            for side in [Side::A, Side::B] {
                let _ = view
                    .find(&FlowKey::Narrow(NarrowKey([bits, bits & 0x7ff_ffff_ffff_ffff])), side);
                let _ = view.find(&FlowKey::Wide(WideKey([bits, 1, 2, 3, 4])), side);
            }
        }
    }
});
