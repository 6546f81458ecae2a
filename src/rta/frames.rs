//! What a client sends, held within bounds: frames are measured by their headers, and the parts of a message put together.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_ws::Item;
use futures_util::StreamExt as _;

/// A frame or a message is larger than it may be (N-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Ends a payload with an overflow as soon as a frame announces more than `most` bytes (N-04).
///
/// The reader behind it collects a frame until it is complete and looks at its length only then.
#[must_use]
pub fn bounded(payload: Payload, most: usize) -> Payload {
    let mut headers = Headers::new(most);
    let chunks = payload.map(move |chunk| {
        let chunk = chunk?;
        headers.follow(&chunk).map_err(|TooLarge| PayloadError::Overflow)?;
        Ok(chunk)
    });
    Payload::Stream { payload: Box::pin(chunks) }
}

/// Follows a stream of frames from header to header (RFC 6455, 5.2) and looks at nothing but the lengths.
#[derive(Debug)]
struct Headers {
    most: u64,
    /// What has come of a header, without its mask: two bytes and at most eight of a length.
    header: [u8; 10],
    held: usize,
    /// How much is still to come of the mask and payload of a frame.
    rest: u64,
}

impl Headers {
    fn new(most: usize) -> Self {
        Self { most: u64::try_from(most).unwrap_or(u64::MAX), header: [0; 10], held: 0, rest: 0 }
    }

    /// Takes the next bytes, of however many frames.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        while let Some((first, others)) = bytes.split_first() {
            if self.rest > 0 {
                let skipped = bytes.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
                self.rest -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.held] = *first;
            self.held += 1;
            bytes = others;
            if let Some(length) = self.announced() {
                self.held = 0;
                if length > self.most {
                    return Err(TooLarge);
                }
                let is_masked = self.header[1] & 0x80 != 0;
                self.rest = length.saturating_add(if is_masked { 4 } else { 0 });
            }
        }
        Ok(())
    }

    /// The length of the payload, once enough of the header is there.
    fn announced(&self) -> Option<u64> {
        let [_, short, long @ ..] = &self.header;
        match (self.held, short & 0x7f) {
            (4, 126) => Some(u64::from(u16::from_be_bytes([long[0], long[1]]))),
            (10, 127) => Some(u64::from_be_bytes(*long)),
            (2, length @ 0..126) => Some(u64::from(length)),
            _ => None,
        }
    }
}

/// A message that comes in parts. They are copied: each part as it comes keeps everything alive that was read together with it.
#[derive(Debug)]
pub(super) struct Parts {
    most: usize,
    is_text: bool,
    size: usize,
    text: Vec<u8>,
}

impl Parts {
    /// Messages of at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { most, is_text: false, size: 0, text: Vec::new() }
    }

    /// Takes a part, and returns the message with its last one if it is a text.
    pub fn add(&mut self, part: &Item) -> Result<Option<Vec<u8>>, TooLarge> {
        let (Item::FirstText(bytes) | Item::FirstBinary(bytes) | Item::Continue(bytes) | Item::Last(bytes)) = part;
        if matches!(part, Item::FirstText(_) | Item::FirstBinary(_)) {
            *self = Self { is_text: matches!(part, Item::FirstText(_)), ..Self::new(self.most) };
        }
        self.size += bytes.len();
        if self.size > self.most {
            return Err(TooLarge);
        }
        if self.is_text {
            self.text.extend_from_slice(bytes);
        }
        let is_whole = matches!(part, Item::Last(_)) && self.is_text;
        Ok(is_whole.then(|| std::mem::take(&mut self.text)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::web::Bytes;
    use rstest::rstest;

    use super::*;

    const MOST: usize = 70_000;

    /// A frame of a client: its first byte, and a payload of this length.
    fn frame(first: u8, length: usize, is_masked: bool) -> Vec<u8> {
        let mut frame = announcement(first, length as u64, is_masked);
        // 0xff would be a header that announces a lot.
        frame.extend(std::iter::repeat_n(0xff, length + if is_masked { 4 } else { 0 }));
        frame
    }

    /// The header of a frame, without its mask.
    fn announcement(first: u8, length: u64, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut header = vec![first];
        if let Ok(short @ 0..126) = u8::try_from(length) {
            header.push(mask | short);
        } else if let Ok(middle) = u16::try_from(length) {
            header.push(mask | 0x7e);
            header.extend(middle.to_be_bytes());
        } else {
            header.push(mask | 0x7f);
            header.extend(length.to_be_bytes());
        }
        header
    }

    /// Texts, binaries and parts of them of all kinds of lengths, with control frames in between.
    fn story() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (first, length) in
            [(0x81, 0), (0x01, 1), (0x89, 125), (0x00, 126), (0x8a, 0), (0x80, 65_535), (0x82, 65_536), (0x88, 2), (0x81, MOST)]
        {
            bytes.extend(frame(first, length, true));
            bytes.extend(frame(first, length, false));
        }
        bytes
    }

    #[rstest]
    #[case(1)]
    #[case(2)]
    #[case(3)]
    #[case(7)]
    #[case(1000)]
    #[case(usize::MAX)]
    fn n04_frames_within_the_bound_pass_in_any_chunks(#[case] chunk: usize) {
        let mut headers = Headers::new(MOST);
        let story = story();
        for chunk in story.chunks(chunk.min(story.len())) {
            assert_eq!(headers.follow(chunk), Ok(()));
        }
        assert_eq!((headers.held, headers.rest), (0, 0), "it ends with a frame");
    }

    #[rstest]
    #[case::one_more(MOST as u64 + 1)]
    #[case::much_more(1 << 40)]
    #[case::no_length_at_all(u64::MAX)]
    fn n04_a_frame_that_announces_too_much_is_noticed_by_its_header(#[case] length: u64) {
        for chunk in [1, 3, usize::MAX] {
            for is_masked in [true, false] {
                let mut headers = Headers::new(MOST);
                let header = announcement(0x81, length, is_masked);
                let (last, before) = header.split_last().unwrap();
                for chunk in before.chunks(chunk.min(before.len())) {
                    assert_eq!(headers.follow(chunk), Ok(()));
                }
                assert_eq!(headers.follow(&[*last]), Err(TooLarge));
            }
        }
    }

    #[test]
    fn n04_a_large_frame_behind_others_in_one_chunk_is_noticed() {
        let mut bytes = story();
        bytes.extend(announcement(0x02, 1 << 40, true));
        assert_eq!(Headers::new(MOST).follow(&bytes), Err(TooLarge));
        assert_eq!(Headers::new(125).follow(&frame(0x81, 126, true)), Err(TooLarge));
        assert_eq!(Headers::new(124).follow(&frame(0x81, 125, true)), Err(TooLarge));
    }

    #[test]
    fn n04_the_parts_of_a_message_are_put_together() {
        let part = |text: &'static str| Bytes::from_static(text.as_bytes());
        let mut parts = Parts::new(4);
        for _ in 0..2 {
            assert_eq!(parts.add(&Item::FirstText(part("ab"))), Ok(None));
            assert_eq!(parts.add(&Item::Continue(part(""))), Ok(None));
            assert_eq!(parts.add(&Item::Continue(part("c"))), Ok(None));
            assert_eq!(parts.add(&Item::Last(part("d"))), Ok(Some(b"abcd".to_vec())));
        }
        assert_eq!(parts.add(&Item::FirstBinary(part("abc"))), Ok(None));
        assert_eq!(parts.add(&Item::Last(part("d"))), Ok(None), "nobody reads it");
    }

    #[test]
    fn n04_the_parts_of_a_message_are_bounded_together() {
        for first in [Item::FirstText, Item::FirstBinary] {
            let mut parts = Parts::new(1000);
            assert_eq!(parts.add(&first(Bytes::from_static(b"x"))), Ok(None));
            for _ in 1..1000 {
                // Each is a view of a chunk that is much larger.
                assert_eq!(parts.add(&Item::Continue(Bytes::from(vec![b'x'; 4096]).slice(..1))), Ok(None));
            }
            assert!(parts.text.capacity() < 4096, "{}", parts.text.capacity());
            assert_eq!(parts.add(&Item::Continue(Bytes::from_static(b"x"))), Err(TooLarge));
        }
    }
}
