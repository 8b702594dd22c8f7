//! Lists and watch streams as they come over the wire.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;

use super::Fault;
use crate::api::health::Failure;
use crate::api::lax::{Lax, List, Text, Whole};
use crate::api::object::{Metadata, Object};

/// Objects of one list that are kept. A node runs 110 pods by default, a cluster has some thousand namespaces.
const MAX_OBJECTS: usize = 8_192;
/// Bytes of one event. The server's store takes objects up to 1.5 MiB.
const MAX_LINE: usize = 8 << 20;

/// A complete list.
#[derive(Debug)]
pub(crate) struct Listed<K> {
    pub(crate) items: Vec<K>,
    /// Objects beyond the bound.
    pub(crate) more: u32,
    pub(crate) version: String,
}

/// One event of a watch.
#[derive(Debug)]
pub(super) enum Sent<K> {
    Applied(K),
    Deleted(K),
    /// Nothing changed up to this version.
    Bookmark(K),
    /// A type that newer servers may send.
    Unknown,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "K: Deserialize<'de> + Default"))]
struct Answer<K> {
    metadata: Lax<Metadata>,
    items: List<K, MAX_OBJECTS>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "K: Deserialize<'de> + Default"))]
struct Line<K> {
    #[serde(rename = "type")]
    kind: Text,
    object: Lax<K>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: Whole,
}

pub(super) fn read_list<K: Object>(body: &[u8]) -> Result<Listed<K>, Fault> {
    let answer: Answer<K> = serde_json::from_slice(body).map_err(|error| undecoded(&error))?;
    let version = answer.metadata.into_inner().resource_version.0;
    let version =
        version.ok_or_else(|| Fault::new(Failure::Decode, "a list without a resourceVersion"))?;
    Ok(Listed { items: answer.items.0, more: answer.items.1, version: version.as_ref().to_owned() })
}

pub(super) fn read<K: Object>(line: &[u8]) -> Result<Sent<K>, Fault> {
    let event: Line<K> = serde_json::from_slice(line).map_err(|error| undecoded(&error))?;
    let object = event.object.into_inner();
    match event.kind.as_str() {
        "ADDED" | "MODIFIED" => Ok(Sent::Applied(object)),
        "DELETED" => Ok(Sent::Deleted(object)),
        "BOOKMARK" => Ok(Sent::Bookmark(object)),
        "ERROR" => {
            let event: Line<Status> =
                serde_json::from_slice(line).map_err(|error| undecoded(&error))?;
            Err(Fault::told(event.object.into_inner().code.0))
        }
        "" => Err(Fault::new(Failure::Decode, "a line without a type")),
        _ => Ok(Sent::Unknown),
    }
}

/// Where it went wrong, without the text that stood there.
fn undecoded(error: &serde_json::Error) -> Fault {
    Fault::new(
        Failure::Decode,
        format!("no JSON at line {} column {}", error.line(), error.column()),
    )
}

/// The lines of a watch, as they come.
pub(crate) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Longest time without a byte.
    idle: Duration,
}

impl Lines {
    pub(super) fn new(body: Body, idle: Duration) -> Self {
        Self { body, buffer: BytesMut::new(), idle }
    }

    /// All lines that have come whole, at least one; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Fault> {
        loop {
            let lines = self.whole();
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Fault::new(Failure::Decode, "an event of more than 8 MiB"));
            }
            let frame = tokio::time::timeout(self.idle, self.body.frame()).await;
            match frame.map_err(|_| Fault::late(self.idle))? {
                // Half a line at the end belongs to an event that will be sent again.
                None => return Ok(None),
                Some(Ok(frame)) => self.buffer.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) => return Err(Fault::new(Failure::Unreachable, "the watch was cut")),
            }
        }
    }

    fn whole(&mut self) -> Vec<Bytes> {
        let Some(end) = self.buffer.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let whole = self.buffer.split_to(end + 1).freeze();
        let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| whole.slice_ref(line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::object::MetadataObject;

    fn kind(line: &str) -> Result<&'static str, Failure> {
        match read::<MetadataObject>(line.as_bytes()) {
            Ok(Sent::Applied(_)) => Ok("applied"),
            Ok(Sent::Deleted(_)) => Ok("deleted"),
            Ok(Sent::Bookmark(_)) => Ok("bookmark"),
            Ok(Sent::Unknown) => Ok("unknown"),
            Err(fault) => Err(fault.kind),
        }
    }

    #[test]
    fn events_are_told_apart_in_any_order_of_fields() {
        assert_eq!(kind(r#"{"type":"ADDED","object":{"kind":"Pod"}}"#), Ok("applied"));
        assert_eq!(kind(r#"{"object":{"spec":null},"type":"MODIFIED"}"#), Ok("applied"));
        assert_eq!(kind(r#"{"type":"DELETED"}"#), Ok("deleted"));
        assert_eq!(
            kind(r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5"}}}"#),
            Ok("bookmark")
        );
        assert_eq!(kind(r#"{"type":"NEWS","object":7}"#), Ok("unknown"));
    }

    #[test]
    fn errors_carry_the_code_and_garbage_is_no_event() {
        assert_eq!(
            kind(r#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#),
            Err(Failure::Gone)
        );
        assert_eq!(kind(r#"{"type":"ERROR","object":null}"#), Err(Failure::Other));
        assert_eq!(kind("{}"), Err(Failure::Decode));
        assert_eq!(kind("<html>"), Err(Failure::Decode));
    }

    #[test]
    fn list_without_items_is_empty_and_without_a_version_is_refused() {
        let listed =
            read_list::<MetadataObject>(br#"{"metadata":{"resourceVersion":"3"},"items":null}"#)
                .unwrap();
        assert_eq!((listed.items.len(), listed.version.as_str()), (0, "3"));
        assert_eq!(
            read_list::<MetadataObject>(br#"{"items":[]}"#).unwrap_err().kind,
            Failure::Decode
        );
    }

    #[tokio::test]
    async fn lines_come_whole_whatever_the_frames() {
        let mut lines = Lines::new(Body::from(b"one\n\ntwo\nthr".to_vec()), Duration::from_secs(1));
        assert_eq!(lines.next().await.unwrap().unwrap(), ["one", "two"]);
        assert!(lines.next().await.unwrap().is_none(), "half a line is not an event");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<MetadataObject>(&line);
            let _ = read_list::<MetadataObject>(&line);
        }
    }
}
