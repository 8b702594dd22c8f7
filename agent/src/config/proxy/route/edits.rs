//! Headers and cookies of a route: those asked for, set and removed.

use collector::proxy::route::{Condition, Edits};
use http::{HeaderName, HeaderValue};

use crate::config::section::Section;

const NAME: &str = "no header's name; write letters, digits and -";
const VALUE: &str = "no header's value; write visible characters";

/// `headers` and `cookies`: nothing behind a name asks for any value.
pub(super) fn conditions(section: &mut Section<'_>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (name, value) in section.pairs("headers") {
        let Some(parsed) = header_name(&name) else {
            section.wrong_pair::<()>("headers", &name, NAME);
            continue;
        };
        match value.map(HeaderValue::try_from).transpose() {
            Ok(value) => conditions.push(Condition::Header(parsed, value)),
            Err(_) => {
                section.wrong_pair::<()>("headers", &name, VALUE);
            }
        }
    }
    for (name, value) in section.pairs("cookies") {
        if header_name(&name).is_some() {
            conditions.push(Condition::Cookie(name.into(), value.map(Into::into)));
        } else {
            let text = "no cookie's name; write letters, digits, - and _";
            section.wrong_pair::<()>("cookies", &name, text);
        }
    }
    conditions
}

/// `set` and `remove`.
pub(super) fn edits(section: &mut Section<'_>) -> Edits {
    let mut set = Vec::new();
    for (name, value) in section.pairs("set") {
        match (header_name(&name), value.map(HeaderValue::try_from)) {
            (Some(name), Some(Ok(value))) => set.push((name, value)),
            (None, _) => {
                section.wrong_pair::<()>("set", &name, NAME);
            }
            (_, Some(Err(_))) => {
                section.wrong_pair::<()>("set", &name, VALUE);
            }
            (_, None) => {
                let text = "nothing where a value is expected; to remove it, name it under remove";
                section.wrong_pair::<()>("set", &name, text);
            }
        }
    }
    let remove = section.parsed_list("remove", "the name of a header", header_name);
    Edits { set, remove }
}

fn header_name(text: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(text.as_bytes()).ok()
}
