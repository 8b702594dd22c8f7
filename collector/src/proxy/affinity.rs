//! Sessions that stay with a pod: cookies that name it.
//!
//! A cookie holds a hash of the pod's id and a signature over that hash and the Service, so that any node with the
//! same key finds the pod again, no client can choose a pod, and no one learns a pod's id or address from it.
//! Which pod a tag belongs to, and what happens when it is gone, is the balancer's business.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use ring::{digest, hmac, rand};

use super::route::Affinity;
use super::service::ServiceKey;

/// Bytes of a pod's tag.
const TAG: usize = 16;
/// The tag and its signature. The signature is whole: ring compares only whole ones in constant time.
const COOKIE: usize = TAG + digest::SHA256_OUTPUT_LEN;
/// Characters of [`COOKIE`] bytes in base64 without padding.
const COOKIE_TEXT: usize = COOKIE / 3 * 4;
/// Shorter keys could be guessed.
const MIN_KEY: usize = 32;
/// More keys than a rotation needs would only make each verification longer.
const MAX_KEYS: usize = 16;
/// Far more than [`MAX_KEYS`] lines of hexadecimal digits.
const MAX_FILE: u64 = 64 << 10;

/// A pod as cookies name it: a part of the SHA-256 of its [`Endpoint::id`](super::service::Endpoint::id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointTag([u8; TAG]);

/// The keys that sign cookies: the first signs, all verify, so that a new one can be put in front of the old.
pub struct Keys(Vec<hmac::Key>);

/// Why there are no keys. The text holds nothing of them.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not there or not readable for this process: check the Secret's volume.
    #[error("cannot read the affinity key {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is too short to be a key.
    #[error(
        "line {line} of the affinity key {} has {bytes} bytes; a key has at least {MIN_KEY}, such as `openssl rand -hex 32` prints",
        path.display()
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// How many bytes it has.
        bytes: usize,
    },
    /// No line holds anything.
    #[error("the affinity key {} is empty; write what `openssl rand -hex 32` prints", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// More than a rotation needs.
    #[error("the affinity key {} has more than {MAX_KEYS} lines or {MAX_FILE} bytes; keep the newest keys", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("cannot make an affinity key: the system gives no random bytes")]
    Random,
}

impl EndpointTag {
    /// The tag of the pod with this id.
    #[must_use]
    pub fn of(endpoint_id: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, endpoint_id.as_bytes());
        let mut tag = [0; TAG];
        tag.copy_from_slice(&hash.as_ref()[..TAG]);
        Self(tag)
    }
}

impl Keys {
    /// The keys of a file, one a line; without a file one is made, good until the process ends and on this node only.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what is no key.
    pub fn load(path: Option<&Path>) -> Result<Self, KeyError> {
        let Some(path) = path else { return Self::random() };
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut text))
            .map_err(|source| KeyError::Io { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn random() -> Result<Self, KeyError> {
        hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .map(|key| Self(vec![key]))
            .map_err(|_| KeyError::Random)
    }

    fn parse(text: &[u8], path: &Path) -> Result<Self, KeyError> {
        let path = || path.to_owned();
        let mut keys = Vec::new();
        for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let key = line.trim_ascii();
            if key.is_empty() {
                continue;
            }
            if key.len() < MIN_KEY {
                return Err(KeyError::Short { path: path(), line: at + 1, bytes: key.len() });
            }
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, key));
        }
        if keys.is_empty() {
            return Err(KeyError::Empty { path: path() });
        }
        if keys.len() > MAX_KEYS || text.len() as u64 > MAX_FILE {
            return Err(KeyError::TooLarge { path: path() });
        }
        Ok(Self(keys))
    }

    /// The value of a cookie that binds a session to this pod of this Service.
    #[must_use]
    pub fn sign(&self, service: &ServiceKey, endpoint_id: &str) -> String {
        let tag = EndpointTag::of(endpoint_id);
        let mut value = [0; COOKIE];
        value[..TAG].copy_from_slice(&tag.0);
        value[TAG..].copy_from_slice(hmac::sign(&self.0[0], &signed(service, &tag.0)).as_ref());
        URL_SAFE_NO_PAD.encode(value)
    }

    /// The pod that a cookie's value names, if it was signed here for this Service.
    #[must_use]
    pub fn verify(&self, service: &ServiceKey, value: &[u8]) -> Option<EndpointTag> {
        // Also keeps the decoder from looking at a long one.
        if value.len() != COOKIE_TEXT {
            return None;
        }
        let mut bytes = [0; COOKIE];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).ok()?;
        if length != COOKIE {
            return None;
        }
        let (tag, signature) = bytes.split_first_chunk::<TAG>()?;
        let message = signed(service, tag);
        let is_ours = self.0.iter().any(|key| hmac::verify(key, &message, signature).is_ok());
        is_ours.then_some(EndpointTag(*tag))
    }
}

/// Keeps the keys out of every log.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

/// What is signed. The zero bytes, which no name has, keep `a/bc` and `ab/c` apart. The port is not part of it:
/// it may be written as a number here and as a name there.
fn signed(service: &ServiceKey, tag: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.namespace.len() + service.name.len() + 2 + TAG);
    message.extend_from_slice(service.namespace.as_bytes());
    message.push(0);
    message.extend_from_slice(service.name.as_bytes());
    message.push(0);
    message.extend_from_slice(tag);
    message
}

/// The `Set-Cookie` of a value that [`Keys::sign`] gave, `None` if the route's cookie cannot be written as one.
///
/// `SameSite=None` is left out on plain HTTP: browsers refuse such a cookie unless it is `Secure`.
#[must_use]
pub fn set_cookie(affinity: &Affinity, value: &str, secure: bool) -> Option<HeaderValue> {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    let is_name = !affinity.cookie.is_empty()
        && is_plain(&affinity.cookie)
        && !affinity.cookie.bytes().any(|byte| b"=,\"()<>@:\\/[]?{}".contains(&byte));
    let same_site = affinity.same_site.as_deref();
    if !is_name || !is_plain(&affinity.path) || !same_site.is_none_or(is_plain) {
        return None;
    }
    let mut text = format!("{}={value}", affinity.cookie);
    if !affinity.path.is_empty() {
        text.push_str("; Path=");
        text.push_str(&affinity.path);
    }
    if let Some(age) = affinity.max_age {
        text.push_str("; Max-Age=");
        text.push_str(&age.as_secs().to_string());
    }
    if let Some(same_site) = same_site
        && (secure || !same_site.eq_ignore_ascii_case("none"))
    {
        text.push_str("; SameSite=");
        text.push_str(same_site);
    }
    if secure {
        text.push_str("; Secure");
    }
    text.push_str("; HttpOnly");
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests;
