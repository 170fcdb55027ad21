//! Topic configs: those of Kafka 4.3, their types, defaults and rules.
//!
//! [`TOPIC_CONFIGS`] is the table that CreateTopics and the alterations check against and that
//! DescribeConfigs shows. [`TopicConfig`] is what Weir acts on, parsed once. The rest is checked,
//! kept and shown, so that a Kafka tool finds what it set; what has no meaning here (replicas,
//! segments and flushes of local disks) has no effect, and its documentation says so.

mod effective;
mod table;

use std::{borrow::Cow, collections::BTreeMap};

pub use effective::{CleanupPolicy, TimestampType, TopicConfig};
pub use table::TOPIC_CONFIGS;

/// How alike two names must be for one to be suggested instead of the other (Jaro-Winkler).
const ALIKE_MIN: f64 = 0.8;

/// What a config's value may be. Numbers are within both bounds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean,
    /// A whole number of 32 bits.
    Int(i32, i32),
    /// [`Kind::Int`], or -1.
    IntOrMinusOne(i32, i32),
    /// A whole number of 64 bits.
    Long(i64, i64),
    /// A number.
    Double(f64, f64),
    /// One of these.
    Choice(&'static [&'static str]),
    /// Any of these, between commas; none is fine.
    List(&'static [&'static str]),
    /// `*`, or pairs `partition:broker` between commas; none is fine.
    Replicas,
}

/// A topic config.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ConfigDefinition {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// Its value when it is not set.
    pub default: &'static str,
    /// The broker config whose value Kafka uses for topics that don't set it.
    pub synonym: Option<&'static str>,
    /// What it does, in a sentence.
    pub documentation: &'static str,
}

/// Why configs are refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum ConfigError {
    /// There is no such config.
    #[error("unknown topic config {name:?}{}", nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// The most similar one, if any is.
        nearest: Option<Cow<'static, str>>,
    },
    /// Its value can't be that.
    #[error("topic config {name} can't be {value:?}: it is {wanted}")]
    BadValue {
        /// The config.
        name: Cow<'static, str>,
        /// The value.
        value: String,
        /// What it may be.
        wanted: String,
    },
    /// Two configs contradict each other.
    #[error("topic config {low}={low_value} is above {high}={high_value}")]
    Contradiction {
        /// The one that must not be above the other.
        low: Cow<'static, str>,
        /// Its value.
        low_value: i64,
        /// The other.
        high: Cow<'static, str>,
        /// Its value.
        high_value: i64,
    },
    /// Weir has no such thing.
    #[error("topic config {name}={value} is not supported: {reason}")]
    NotSupported {
        /// The config.
        name: Cow<'static, str>,
        /// The value.
        value: String,
        /// Why.
        reason: Cow<'static, str>,
    },
    /// Only lists can be appended to or subtracted from.
    #[error("topic config {name} is not a list: set it instead")]
    NotAList {
        /// The config.
        name: Cow<'static, str>,
    },
}

/// The definition of the config `name`.
///
/// # Errors
/// [`ConfigError::Unknown`], with the nearest name.
pub fn definition(name: &str) -> Result<&'static ConfigDefinition, ConfigError> {
    let place = TOPIC_CONFIGS.binary_search_by(|config| config.name.cmp(name));
    place.map(|at| &TOPIC_CONFIGS[at]).map_err(|_| ConfigError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name).map(Cow::Borrowed),
    })
}

fn nearest(name: &str) -> Option<&'static str> {
    let alike = |config: &ConfigDefinition| strsim::jaro_winkler(config.name, name);
    let scored = TOPIC_CONFIGS.iter().map(|config| (alike(config), config.name));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score >= ALIKE_MIN).map(|(_, name)| name)
}

/// Checks a topic's configs, each alone and all together.
///
/// # Errors
/// The first that is wrong.
pub fn check(configs: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    for (name, value) in configs {
        definition(name)?.check(value)?;
    }
    let effective = TopicConfig::new(configs);
    let contradiction = effective.min_compaction_lag_ms > effective.max_compaction_lag_ms;
    if contradiction {
        return Err(ConfigError::Contradiction {
            low: "min.compaction.lag.ms".into(),
            low_value: effective.min_compaction_lag_ms,
            high: "max.compaction.lag.ms".into(),
            high_value: effective.max_compaction_lag_ms,
        });
    }
    match configs.get("remote.storage.enable") {
        Some(value) if value.trim().eq_ignore_ascii_case("true") => {
            Err(ConfigError::NotSupported {
                name: "remote.storage.enable".into(),
                value: value.clone(),
                reason: "every topic is in the object store as it is".into(),
            })
        }
        _ => Ok(()),
    }
}

impl ConfigDefinition {
    /// Checks one value.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`].
    pub fn check(&self, value: &str) -> Result<(), ConfigError> {
        if self.kind.takes(value.trim()) {
            return Ok(());
        }
        let (value, wanted) = (value.to_owned(), self.kind.to_string());
        Err(ConfigError::BadValue { name: self.name.into(), value, wanted })
    }

    /// `value`, a list, with the items of `more` added that it lacks.
    ///
    /// # Errors
    /// [`ConfigError::NotAList`].
    pub fn append(&self, value: &str, more: &str) -> Result<String, ConfigError> {
        self.must_be_list()?;
        let mut all: Vec<&str> = items(value).collect();
        for item in items(more) {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        Ok(all.join(","))
    }

    /// `value`, a list, without the items of `less`.
    ///
    /// # Errors
    /// [`ConfigError::NotAList`].
    pub fn subtract(&self, value: &str, less: &str) -> Result<String, ConfigError> {
        self.must_be_list()?;
        let less: Vec<&str> = items(less).collect();
        Ok(items(value).filter(|item| !less.contains(item)).collect::<Vec<_>>().join(","))
    }

    fn must_be_list(&self) -> Result<(), ConfigError> {
        match self.kind {
            Kind::List(_) | Kind::Replicas => Ok(()),
            _ => Err(ConfigError::NotAList { name: self.name.into() }),
        }
    }
}

/// The items of a list.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

impl Kind {
    fn takes(self, value: &str) -> bool {
        match self {
            Kind::Boolean => {
                value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
            }
            Kind::Int(min, max) => value.parse().is_ok_and(|n| (min..=max).contains(&n)),
            Kind::IntOrMinusOne(min, max) => {
                value.parse().is_ok_and(|n| n == -1 || (min..=max).contains(&n))
            }
            Kind::Long(min, max) => value.parse().is_ok_and(|n| (min..=max).contains(&n)),
            Kind::Double(min, max) => value.parse().is_ok_and(|n| (min..=max).contains(&n)),
            Kind::Choice(choices) => choices.contains(&value),
            Kind::List(choices) => {
                value.is_empty() || value.split(',').all(|item| choices.contains(&item.trim()))
            }
            Kind::Replicas => {
                let pair = |item: &str| {
                    let pair = item.trim().split_once(':');
                    pair.is_some_and(|(p, b)| p.parse::<u32>().is_ok() && b.parse::<u32>().is_ok())
                };
                value.is_empty() || value == "*" || value.split(',').all(pair)
            }
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Boolean => f.write_str("true or false"),
            Kind::Int(min, max) => write!(f, "a whole number from {min} to {max}"),
            Kind::IntOrMinusOne(min, max) => {
                write!(f, "-1 or a whole number from {min} to {max}")
            }
            Kind::Long(min, max) => write!(f, "a whole number from {min} to {max}"),
            Kind::Double(min, max) => write!(f, "a number from {min} to {max}"),
            Kind::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Kind::List(choices) => write!(f, "any of {}, between commas", choices.join(", ")),
            Kind::Replicas => f.write_str("* or pairs partition:broker, between commas"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_table_is_sorted_and_its_defaults_are_legal() {
        assert!(TOPIC_CONFIGS.is_sorted_by(|one, other| one.name < other.name));
        for config in TOPIC_CONFIGS {
            assert_eq!(config.check(config.default), Ok(()), "{}", config.name);
            assert_eq!(definition(config.name).unwrap().name, config.name);
            let sentence = config.documentation;
            assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{}", config.name);
        }
    }

    /// What Kafka 4.3.1 says to each of these, tried on its own validator.
    #[test]
    fn values_are_judged_as_kafka_does() {
        let good = [
            ("cleanup.policy", ""),
            ("cleanup.policy", " delete , compact "),
            ("preallocate", "TRUE"),
            ("max.message.bytes", " 12 "),
            ("max.message.bytes", "+5"),
            ("min.cleanable.dirty.ratio", "1e-1"),
            ("compression.gzip.level", "-1"),
            ("compression.zstd.level", "0"),
            ("leader.replication.throttled.replicas", "*"),
            ("leader.replication.throttled.replicas", "0:1,1:2"),
            ("retention.bytes", "-5"),
        ];
        for (name, value) in good {
            assert_eq!(check(&configs(&[(name, value)])), Ok(()), "{name}={value}");
        }
        let bad = [
            ("cleanup.policy", "Delete"),
            ("cleanup.policy", "delete,"),
            ("preallocate", "yes"),
            ("max.message.bytes", "-1"),
            ("max.message.bytes", "1e3"),
            ("max.message.bytes", "4294967296"),
            ("min.cleanable.dirty.ratio", "1.1"),
            ("compression.gzip.level", "0"),
            ("compression.type", "lzma"),
            ("leader.replication.throttled.replicas", "x"),
            ("leader.replication.throttled.replicas", "none"),
            ("retention.ms", "-2"),
            ("segment.bytes", "100"),
            ("message.timestamp.type", "createTime"),
        ];
        for (name, value) in bad {
            let error = check(&configs(&[(name, value)])).unwrap_err();
            assert!(matches!(error, ConfigError::BadValue { .. }), "{name}={value}: {error}");
        }
    }

    #[test]
    fn an_unknown_config_names_the_nearest() {
        let error = check(&configs(&[("retention.mss", "1")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown topic config \"retention.mss\"; did you mean \"retention.ms\"?"
        );
        let error = check(&configs(&[("zzz", "1")])).unwrap_err();
        assert_eq!(error, ConfigError::Unknown { name: "zzz".to_owned(), nearest: None });
    }

    #[test]
    fn contradictions_and_what_weir_lacks_are_refused() {
        let lags = [("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")];
        let error = check(&configs(&lags)).unwrap_err();
        assert!(matches!(error, ConfigError::Contradiction { .. }), "{error}");
        let error = check(&configs(&[("remote.storage.enable", "true")])).unwrap_err();
        assert!(matches!(error, ConfigError::NotSupported { .. }), "{error}");
        assert_eq!(check(&configs(&[("remote.storage.enable", "false")])), Ok(()));
    }

    #[test]
    fn lists_grow_and_shrink() {
        let policy = definition("cleanup.policy").unwrap();
        assert_eq!(policy.append("delete", "compact,delete").unwrap(), "delete,compact");
        assert_eq!(policy.subtract("delete, compact", "delete").unwrap(), "compact");
        assert_eq!(policy.subtract("delete", "delete").unwrap(), "");
        let not = definition("retention.ms").unwrap();
        assert_eq!(
            not.append("1", "2"),
            Err(ConfigError::NotAList { name: "retention.ms".into() })
        );
    }
}
