//! Changing the configs of topics.

use std::collections::BTreeMap;

use super::{AlterConfigs, ConfigOp, ConfigsChange, Error, local::Inner};
use crate::{
    cas::{ATTEMPTS_MAX, Unclear},
    model::{Record, Topic},
    store::{Compare, Txn},
    topic_config::{self, ConfigError},
};

/// What `configs` become.
fn changed(
    configs: &BTreeMap<String, String>,
    change: &ConfigsChange,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let ops = match change {
        ConfigsChange::Replace(all) => {
            topic_config::check(all)?;
            return Ok(all.clone());
        }
        ConfigsChange::Incremental(ops) => ops,
    };
    let mut after = configs.clone();
    for (name, op) in ops {
        let value = match op {
            ConfigOp::Set(value) => value.clone(),
            ConfigOp::Delete => {
                after.remove(name);
                continue;
            }
            ConfigOp::Append(items) | ConfigOp::Subtract(items) => {
                let definition = topic_config::definition(name)?;
                let value = after.get(name).map_or(definition.default, String::as_str);
                match op {
                    ConfigOp::Append(_) => definition.append(value, items)?,
                    _ => definition.subtract(value, items)?,
                }
            }
        };
        after.insert(name.clone(), value);
    }
    topic_config::check(&after)?;
    Ok(after)
}

impl Inner {
    pub(super) async fn alter_configs(&self, wanted: AlterConfigs) -> Result<(), Error> {
        let term = self.term()?;
        let _alone = self.lock_name(&wanted.topic).await;
        let key = Topic::key(&wanted.topic);
        let mut unclear = Unclear::default();
        let mut sent: Option<Topic> = None;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.metadata.topic(&wanted.topic).await;
            let found = found.map_err(|error| unclear.or(error))?;
            let found = found.filter(|found| found.value.is_live());
            let found = found.ok_or_else(|| Error::unknown(&wanted.topic))?;
            // Appending twice is no harm, but subtracting and appending again may be.
            if sent.as_ref() == Some(&found.value) {
                return Ok(());
            }
            let configs = changed(&found.value.configs, &wanted.change)?;
            if wanted.validate_only || configs == found.value.configs {
                return Ok(());
            }
            let topic = Topic { configs, ..found.value };
            let same = Compare::unchanged(key.clone(), found.revision);
            let txn = Txn::new().when(same).put(key.clone(), topic.encode());
            if self.commit(term, &mut unclear, txn).await?.is_some() {
                tracing::info!(name = %wanted.topic, configs = ?topic.configs, "topic configs changed");
                return Ok(());
            }
            sent = Some(topic);
        }
        Err(unclear.or(crate::Error::Contended { key }).into())
    }
}
