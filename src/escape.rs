//! Reads a text whose characters may be escaped for a URL, HTML or JSON, even repeatedly.

use std::iter;

/// The longest escape without the character that begins it, such as `#x0002b;`.
const LONGEST_ESCAPE: usize = 8;

/// How often a character is unescaped: once for each time that it was escaped, and more for JSON,
/// which doubles its backslashes each time.
const MOST_UNESCAPES: usize = 5;

/// How the text can be read at one place: the character, and the bytes that it takes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading {
    pub(crate) char: u8,
    pub(crate) length: u8,
}

/// A text whose characters may be escaped.
pub(crate) struct Text<'a> {
    pub(crate) bytes: &'a [u8],
    /// For each place the reading that is unescaped most.
    pub(crate) unescaped: Vec<Reading>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let unescaped = bytes.iter().map(|&char| Reading { char, length: 1 }).collect();
        let mut text = Self { bytes, unescaped };
        // From the end, because an escape is read with what follows it.
        for (at, _) in bytes.iter().enumerate().rev().filter(|(_, char)| begins_escape(**char)) {
            let last = text.readings(at).last();
            if let (Some(unescaped), Some(last)) = (text.unescaped.get_mut(at), last) {
                *unescaped = last;
            }
        }
        text
    }

    /// Returns the characters from here on.
    pub(crate) fn unescaped(&self, at: usize) -> impl Iterator<Item = u8> + Clone {
        let first = self.unescaped.get(at).map(|reading| (at, reading));
        let readings = iter::successors(first, |(at, reading)| {
            let at = at + usize::from(reading.length);
            self.unescaped.get(at).map(|reading| (at, reading))
        });
        readings.map(|(_, reading)| reading.char)
    }

    /// Returns all ways to read this place: as it stands, unescaped, unescaped twice…
    pub(crate) fn readings(&self, at: usize) -> impl Iterator<Item = Reading> {
        let itself = self.bytes.get(at).map(|&char| Reading { char, length: 1 });
        let readings = iter::successors(itself, move |reading| {
            let (char, length) = self.unescape(reading.char, at + usize::from(reading.length))?;
            Some(Reading { char, length: reading.length.checked_add(length)? })
        });
        readings.take(1 + MOST_UNESCAPES)
    }

    /// Reads the rest of the escape that this character begins.
    fn unescape(&self, first: u8, start: usize) -> Option<(u8, u8)> {
        if !begins_escape(first) {
            return None;
        }
        let (mut rest, mut lengths, mut at) = ([0; LONGEST_ESCAPE], [0; LONGEST_ESCAPE], start);
        for (char, length) in rest.iter_mut().zip(&mut lengths) {
            let Some(reading) = self.unescaped.get(at) else { break };
            (*char, *length) = (reading.char, reading.length);
            at += usize::from(reading.length);
        }
        let Some((char, count)) = escape(first, &rest) else {
            // Of two backslashes, the second need not begin an escape.
            let is_pair = first == b'\\' && self.bytes.get(start) == Some(&b'\\');
            return is_pair.then_some((b'\\', 1));
        };
        let length = lengths.iter().take(count).try_fold(0_u8, |sum, it| sum.checked_add(*it))?;
        Some((char, length))
    }
}

/// Whether the character may begin an escape.
pub(crate) fn begins_escape(char: u8) -> bool {
    matches!(char, b'%' | b'&' | b'\\')
}

/// Returns the character of an escape, and how many characters of the rest belong to it.
fn escape(first: u8, rest: &[u8]) -> Option<(u8, usize)> {
    Some(match (first, rest) {
        (b'%', [a, b, ..]) => (number(&[*a, *b], 16)?, 2),
        (b'\\', [b'u', a, b, c, d, ..]) => (number(&[*a, *b, *c, *d], 16)?, 5),
        (b'\\', [b'x', a, b, ..]) => (number(&[*a, *b], 16)?, 3),
        (b'\\', [char, ..]) if char.is_ascii_punctuation() => (*char, 1),
        (b'&', rest) => {
            let end = rest.iter().position(|char| *char == b';')?;
            (entity(rest.get(..end)?)?, end + 1)
        }
        _ => return None,
    })
}

/// Returns the character of an HTML entity.
fn entity(name: &[u8]) -> Option<u8> {
    Some(match name {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        b"amp" => b'&',
        b"apos" => b'\'',
        b"equals" => b'=',
        b"gt" => b'>',
        b"lt" => b'<',
        b"plus" => b'+',
        b"quot" => b'"',
        b"sol" => b'/',
        _ => return None,
    })
}

/// Returns the character of this number. A key has none beyond ASCII, so one stands for all of
/// those.
fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let digits = digits.iter().map(|digit| char::from(*digit).to_digit(radix));
    let number = digits.reduce(|number, digit| Some(number? * radix + digit?))??;
    Some(u8::try_from(number).unwrap_or(u8::MAX))
}
