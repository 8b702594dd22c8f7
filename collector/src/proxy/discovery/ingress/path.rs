//! The paths of an Ingress' rules.
//!
//! Pure; each error is the end of a sentence that begins with the path.

use crate::proxy::discovery::object::PathObject;
use crate::proxy::route::Path;

/// Bytes of a path.
pub(in crate::proxy::discovery) const MAX_PATH: usize = 1_024;

/// The path of a rule; `regex` is whether one that leaves it open is a regular expression.
pub(super) fn read(entry: &PathObject, regex: bool) -> Result<Path, String> {
    let text = entry.path.as_str();
    let kind = entry.path_type.as_str();
    let is_specific = matches!(kind, "ImplementationSpecific" | "");
    let text = if text.is_empty() && is_specific { "/" } else { text };
    if text.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} bytes"));
    }
    let is_regex = regex && is_specific;
    let is_absolute = text.starts_with('/') || (is_regex && text.starts_with('^'));
    if !is_absolute {
        return Err("does not begin with \"/\"".to_owned());
    }
    if text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err("has a space or a control character; write it percent-encoded".to_owned());
    }
    // Paths are compared as they came and without the query.
    if !is_regex && text.contains(['?', '#']) {
        return Err("has a query or fragment, which no path has".to_owned());
    }
    let text = text.into();
    match kind {
        "Exact" => Ok(Path::Exact(text)),
        "Prefix" => Ok(Path::Prefix(text)),
        _ if is_regex => Ok(Path::Regex(text)),
        _ if is_specific => Ok(Path::Prefix(text)),
        _ => Err(format!("has pathType {kind:?}; write Exact, Prefix or ImplementationSpecific")),
    }
}

/// The same for paths that are to be refused: as wide as anything that they could mean. In nginx they may be regular
/// expressions, and are so for all of a host as soon as one of them is; of those it is the part before the expression.
pub(super) fn guarded(entry: &PathObject, regex: bool) -> Result<Path, String> {
    let (text, kind) = (entry.path.as_str(), entry.path_type.as_str());
    let is_expression = |byte: u8| b"\\^$*+?()[]{}|".contains(&byte);
    let text = text.strip_prefix('^').unwrap_or(text);
    let Some(at) = text.bytes().position(is_expression) else { return read(entry, regex) };
    if kind == "Exact" || text.len() > MAX_PATH || !text.starts_with('/') {
        return read(entry, regex);
    }
    let (literal, rest) = text.split_at(at);
    // What may be repeated may also be absent.
    let is_repeated = rest.starts_with(['*', '+', '?', '{']);
    let whole = if is_repeated { literal.strip_suffix(['.', '/']) } else { Some(literal) };
    let ends_a_segment = is_repeated || rest.starts_with("(/") || rest.starts_with('$');
    let prefix = match whole.filter(|_| ends_a_segment) {
        Some(whole) => whole,
        None => literal.rsplit_once('/').map_or("", |(directory, _)| directory),
    };
    Ok(Path::Prefix(if prefix.is_empty() { "/" } else { prefix }.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_to_be_refused_is_as_wide_as_its_expression() {
        for (text, prefix) in [
            ("/admin", "/admin"),
            ("/admin.php", "/admin.php"),
            ("/admin/.*", "/admin/"),
            ("/admin.*", "/admin"),
            ("/admin/?(.*)", "/admin"),
            ("/admin(/|$)(.*)", "/admin"),
            ("^/admin/(.*)$", "/admin"),
            ("/admin$", "/admin"),
            ("/v[0-9]+/admin", "/"),
            ("/api/v[0-9]+", "/api"),
            ("/(admin|api)", "/"),
            ("/adminx*", "/"),
        ] {
            let entry = serde_json::json!({"path": text, "pathType": "ImplementationSpecific"});
            let entry: PathObject = serde_json::from_value(entry).unwrap();
            assert_eq!(guarded(&entry, false), Ok(Path::Prefix(prefix.into())), "{text}");
        }
    }
}
