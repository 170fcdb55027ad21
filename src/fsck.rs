//! `weir fsck`: what is there, what is missing, what nobody needs; and lost metadata brought back.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::Path};

use anyhow::{Context, Result, bail};
use uuid::Uuid;
use weir_broker::fsck::{Depth, Fsck, Plan, Rebuilt, Report, Tally, founder};
use weir_ids::{NodeId, TopicId};
use weir_meta::{
    Metadata,
    backup::{self, Contents},
    model::{Cluster, Record, Topic},
    store::list,
};
use weir_runtime::Runtime;

use crate::{
    config::{Config, Id},
    node::{Ground, Place},
};

/// Whose partitions nobody is known to own, if the configuration does not say which node this is.
const SOME_NODE: NodeId = NodeId(1);

/// Looks at everything, and says what is wrong.
///
/// # Errors
/// When something is, or it can't be looked at.
pub(crate) async fn check(
    config: &Config,
    place: &Place,
    records: bool,
    repair: bool,
) -> Result<()> {
    let runtime = Runtime::system();
    let ground = Ground::open(config, place, &runtime).await?;
    let checked = check_on(&ground, config, &runtime, records, repair).await;
    ground.close().await;
    checked
}

async fn check_on(
    ground: &Ground,
    config: &Config,
    runtime: &Runtime,
    records: bool,
    repair: bool,
) -> Result<()> {
    let cluster = ground.metadata.cluster().await?.map(|found| found.value.id);
    let cluster = cluster.context(
        "the metadata hold no cluster; import a backup, or write them anew with --rebuild-metadata",
    )?;
    let cluster = Uuid::parse_str(&cluster).context("the cluster's id in the metadata")?;
    let journal = ground.journal(config, cluster, runtime);
    let fsck = Fsck::new(ground.metadata.clone(), ground.store.clone(), journal);
    let depth = if records { Depth::Records } else { Depth::Objects };
    let report = fsck.check(depth).await?;
    tell(&report, records);
    tidy(&fsck, &report, repair).await?;
    let names = names(&ground.metadata).await?;
    for problem in &report.problems {
        println!("{}", problem.told(|topic| names.get(&topic).cloned()));
    }
    match report.problems.len() {
        0 => {
            println!("nothing is missing");
            Ok(())
        }
        count => bail!("{count} things are wrong"),
    }
}

fn tell(report: &Report, records: bool) {
    let Report { partitions, sessions, ranges, needed, read_bytes, .. } = report;
    println!(
        "{partitions} partitions in {ranges} ranges of records, of {sessions} sessions; they need {}",
        sum(needed)
    );
    if records {
        println!("{} of records were read", size(*read_bytes));
    }
    match report.uncopied {
        0 => println!("the store tells what every topic is called"),
        topics => println!("the names of {topics} topics are not copied to the store yet"),
    }
    if report.unpublished.objects > 0 {
        println!("{} are of brokers that run, and not published", sum(&report.unpublished));
    }
}

/// Deletes what nobody needs, or says who does.
async fn tidy(fsck: &Fsck, report: &Report, repair: bool) -> Result<()> {
    if report.orphans.objects == 0 {
        return Ok(());
    }
    let orphans = sum(&report.orphans);
    if report.live > 0 {
        println!("nobody needs {orphans}; the brokers' collector deletes them");
    } else if !report.problems.is_empty() {
        println!("nobody needs {orphans}; they stay while something is wrong");
    } else if repair {
        fsck.sweep(report).await?;
        println!("nobody needed {orphans}: deleted");
    } else {
        println!("nobody needs {orphans}; --repair deletes them");
    }
    Ok(())
}

/// Writes lost metadata anew.
///
/// # Errors
/// When that can't be done, or not all is there.
pub(crate) async fn rebuild(config: &Config, place: &Place, base: Option<&Path>) -> Result<()> {
    let base = base.map(read_backup).transpose()?;
    let runtime = Runtime::system();
    let ground = Ground::open(config, place, &runtime).await?;
    let rebuilt = rebuild_on(&ground, config, &runtime, base).await;
    ground.close().await;
    let Rebuilt { topics, partitions, sessions, named, problems } = rebuilt?;
    println!("{topics} topics with {partitions} partitions are back, from {sessions} sessions");
    for name in named {
        println!("a topic whose name nothing tells is called {name} now");
    }
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{} partitions are not all there", problems.len())
}

async fn rebuild_on(
    ground: &Ground,
    config: &Config,
    runtime: &Runtime,
    base: Option<Contents>,
) -> Result<Rebuilt> {
    let founder = founder(&ground.store, base.as_ref()).await?;
    let id =
        founder.context("the store holds nothing of a cluster: there is nothing to rebuild")?;
    let journal = ground.journal(config, id, runtime);
    let node = match config.node.id {
        Id::Given(id) => NodeId(id),
        Id::Asked(_) => SOME_NODE,
    };
    let name = config.cluster.clone();
    let cluster = Cluster { id: id.to_string(), name, format: Cluster::FORMAT };
    let fsck = Fsck::new(ground.metadata.clone(), ground.store.clone(), journal);
    Ok(fsck.rebuild(Plan { cluster, node, base }).await?)
}

fn read_backup(path: &Path) -> Result<Contents> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(backup::read(&mut BufReader::new(file))?)
}

async fn names(metadata: &Metadata) -> Result<BTreeMap<TopicId, String>> {
    let (entries, _) = list(metadata.store(), Topic::PREFIX).await?;
    let mut names = BTreeMap::new();
    for entry in &entries {
        let name = Topic::name(&entry.key).unwrap_or_default().to_owned();
        names.insert(Topic::decode(entry)?.id, name);
    }
    Ok(names)
}

fn sum(tally: &Tally) -> String {
    format!("{} objects, {}", tally.objects, size(tally.bytes))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
