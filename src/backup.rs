//! `weir meta export` and `import`: the metadata of a configuration in a file, and back.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result};
use weir_meta::{
    backup::{self, Summary},
    store::{Embedded, MetaStore, etcd::Etcd},
};

use crate::node::Place;

/// Writes a backup to `to`, which is there whole or not at all, or to standard output.
///
/// # Errors
/// When the metadata can't be read, or the file can't be written.
pub(crate) async fn export(place: &Place, to: Option<&Path>) -> Result<Summary> {
    let opened = Opened::open(place).await?;
    let summary = match to {
        None => backup::export(opened.store(), &mut std::io::stdout()).await?,
        Some(path) => {
            let part = path.with_added_extension("part");
            let file = File::create(&part).with_context(|| part.display().to_string())?;
            let mut out = BufWriter::new(file);
            let summary = backup::export(opened.store(), &mut out).await?;
            out.flush()?;
            out.get_ref().sync_all()?;
            std::fs::rename(&part, path).with_context(|| path.display().to_string())?;
            summary
        }
    };
    opened.close().await;
    Ok(summary)
}

/// Reads a backup from `from`, or from standard input.
///
/// # Errors
/// When it is none, or the metadata are not empty or can't be changed.
pub(crate) async fn import(place: &Place, from: Option<&Path>) -> Result<Summary> {
    let opened = Opened::open(place).await?;
    let imported = match from {
        None => backup::import(opened.store(), &mut std::io::stdin().lock()).await,
        Some(path) => {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            backup::import(opened.store(), &mut BufReader::new(file)).await
        }
    };
    opened.close().await;
    Ok(imported?)
}

/// The metadata, wherever they are.
enum Opened {
    Embedded(Embedded),
    Etcd(Arc<Etcd>),
}

impl Opened {
    async fn open(place: &Place) -> Result<Self> {
        Ok(match place {
            Place::Alone(directories) => {
                let folder = directories.meta.as_ref().unwrap_or(&directories.data);
                std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
                Self::Embedded(Embedded::open(folder).await?)
            }
            Place::Cluster(shared) => Self::Etcd(Arc::new(Etcd::connect(&shared.meta).await?)),
        })
    }

    fn store(&self) -> &dyn MetaStore {
        match self {
            Self::Embedded(store) => store,
            Self::Etcd(store) => &**store,
        }
    }

    async fn close(self) {
        if let Self::Embedded(store) = self {
            store.close().await;
        }
    }
}
