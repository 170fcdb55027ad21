//! Reading the configuration: defaults, then the file, then the environment.
//!
//! `${NAME}` in a value is read from the environment. A key that does not exist is an error that
//! names the nearest one that does.

use std::path::Path;

use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format, Serialized, Toml},
    value::{Dict, Value},
};

use super::Config;

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{path}: {error}")]
    File { path: String, error: std::io::Error },
    #[error("{place}: there is no setting `{name}`{nearest}")]
    Unknown { place: String, name: String, nearest: String },
    #[error("{place}: {what}")]
    Bad { place: String, what: String },
    #[error("`${{{0}}}` is used in the configuration, but not set in the environment")]
    NoVariable(String),
    #[error("`{0}` in the configuration opens a `${{` that is never closed")]
    Unclosed(String),
}

/// `base`, changed by `file` if there is one, changed by the environment.
///
/// # Errors
/// When the file can't be read, or anything in it or in the environment makes no sense.
pub(crate) fn load(base: &Config, file: Option<&Path>) -> Result<Config, ConfigError> {
    let mut figment = Figment::from(Serialized::defaults(base));
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.display().to_string(), error })?;
        figment = figment.merge(Toml::string(&text));
    }
    // Two underscores part the names: WEIR_STORE__URL. Others, like WEIR_CACHE, are not settings.
    let environment =
        Env::prefixed("WEIR_").filter(|name| name.as_str().contains("__")).split("__");
    let read: Dict = figment.merge(environment).extract().map_err(|error| bad(error, file))?;
    let expanded = expand_dict(read)?;
    Figment::from(Serialized::defaults(expanded)).extract().map_err(|error| bad(error, file))
}

fn bad(error: figment::Error, file: Option<&Path>) -> ConfigError {
    let Some(first) = error.into_iter().next() else {
        return ConfigError::Bad {
            place: "configuration".to_owned(),
            what: "unreadable".to_owned(),
        };
    };
    let section = first.path.join(".");
    let source = file.map_or_else(|| "environment".to_owned(), |path| path.display().to_string());
    let place = if section.is_empty() { source } else { format!("{source}, [{section}]") };
    match &first.kind {
        Kind::UnknownField(name, known) => {
            let distance = |known: &&&str| strsim::damerau_levenshtein(name, known);
            let nearest = known.iter().min_by_key(distance);
            let nearest = nearest.map_or(String::new(), |n| format!("; the nearest is `{n}`"));
            ConfigError::Unknown { place, name: name.clone(), nearest }
        }
        kind => ConfigError::Bad { place, what: kind.to_string() },
    }
}

fn expand_dict(dict: Dict) -> Result<Dict, ConfigError> {
    dict.into_iter().map(|(key, value)| Ok((key, expand_value(value)?))).collect()
}

fn expand_value(value: Value) -> Result<Value, ConfigError> {
    Ok(match value {
        Value::String(tag, text) => Value::String(tag, expand(&text)?),
        Value::Dict(tag, dict) => Value::Dict(tag, expand_dict(dict)?),
        Value::Array(tag, items) => {
            Value::Array(tag, items.into_iter().map(expand_value).collect::<Result<_, _>>()?)
        }
        other => other,
    })
}

fn expand(text: &str) -> Result<String, ConfigError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            return Err(ConfigError::Unclosed(text.to_owned()));
        };
        let value = std::env::var(name).map_err(|_| ConfigError::NoVariable(name.to_owned()))?;
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Asked, Id},
        *,
    };

    fn read(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(&Config::default(), Some(file.path())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let config =
            read("cluster = \"prod\"\n[node]\nid = 7\n[broker]\nbuffer_bytes = 5\n").unwrap();
        assert_eq!((config.cluster.as_str(), config.node.id), ("prod", Id::Given(7)));
        assert_eq!(config.broker.buffer_bytes, 5);
        assert_eq!(config.kafka.listen, "127.0.0.1:9092");
    }

    #[test]
    fn a_node_may_ask_for_an_id() {
        let config = read("[node]\nid = \"auto\"\n").unwrap();
        assert_eq!(config.node.id, Id::Asked(Asked::Auto));
    }

    #[test]
    fn options_of_stores_need_no_quotes() {
        let config =
            read("[store.options]\nregion = \"x\"\nallow_http = true\nrequests_max = 7\n").unwrap();
        let options: Vec<_> = config.store.options.into_iter().collect();
        let expected = [("allow_http", "true"), ("region", "x"), ("requests_max", "7")];
        assert_eq!(options, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let error = read("[store.options]\nregion = [1]\n").unwrap_err();
        assert!(error.contains("text, a number"), "{error}");
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = read("[broker]\nbufer_bytes = 5\n").unwrap_err();
        assert!(
            error.contains("no setting `bufer_bytes`; the nearest is `buffer_bytes`"),
            "{error}"
        );
        let error = read("clutser = \"a\"\n").unwrap_err();
        assert!(error.contains("the nearest is `cluster`"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named() {
        let error = read("[node]\nid = \"seven\"\n").unwrap_err();
        assert!(error.contains("[node.id]") && error.contains("\"auto\""), "{error}");
    }

    #[test]
    fn variables_are_read_from_the_environment() {
        let name = std::env::var("CARGO_PKG_NAME").unwrap();
        assert_eq!(expand("a-${CARGO_PKG_NAME}-b").unwrap(), format!("a-{name}-b"));
        assert!(expand("${WEIR_NO_SUCH_VARIABLE}").is_err());
        assert!(expand("${WEIR").is_err());
    }
}
