//! A checkpoint: what it covers, and a block for each partition.

use weir_ids::{Offset, ProducerId, TopicPartition};
use weir_segment_store::{
    Reference,
    checkpoint::{Chain, Checkpoint, DecodeError, Line, Listing, ProducerState, decode},
};

use super::{
    page::{Count, Page, Stop},
    pages::print_ref,
    utc::Utc,
};

/// Where a checkpoint has its version, and where what varies begins.
const VERSION_AT: u64 = 8;

pub(super) fn print(page: &mut Page<'_>, bytes: &[u8]) -> Result<(), Stop> {
    page.line(0, format_args!("checkpoint (WEIRCKP1), {} bytes", bytes.len()))?;
    let checkpoint = decode(bytes).map_err(stop)?;
    print_head(page, &checkpoint)?;
    let mut hole = None;
    for (partition, line) in &checkpoint.partitions {
        match line {
            Line::Whole(listing) => {
                if !listing.is_dense() {
                    hole.get_or_insert(*partition);
                }
                print_listing(page, *partition, "whole", listing)?;
            }
            Line::Delta(listing) => print_listing(page, *partition, "delta", listing)?,
            Line::Gone => page.line(0, format_args!("{partition}: no longer covered"))?,
        }
    }
    makes_sense(&checkpoint, hole)?;
    let partitions = Count(checkpoint.partitions.len() as u64, "partition", "partitions");
    page.line(0, format_args!("{partitions}, all as written"))
}

fn print_head(page: &mut Page<'_>, checkpoint: &Checkpoint) -> Result<(), Stop> {
    page.field("session", checkpoint.session)?;
    page.field("number", checkpoint.number)?;
    if checkpoint.number == checkpoint.full {
        page.field("kind", "full")?;
    } else {
        page.field("kind", format_args!("delta, on the full one {}", checkpoint.full))?;
    }
    page.field("covers", format_args!("slots below {}", checkpoint.covers_below))?;
    page.field("adopted", format_args!("claims up to {}", checkpoint.adopted_through))
}

/// What no checksum shows, but recovery would refuse.
fn makes_sense(checkpoint: &Checkpoint, hole: Option<TopicPartition>) -> Result<(), Stop> {
    if let Err(error) = Chain::predecessors(checkpoint) {
        return Err(Stop::bad(VERSION_AT, error.to_string()));
    }
    if let Some(partition) = hole {
        let what = format!(
            "the references of {partition} do not lead from its log start to its next offset"
        );
        return Err(Stop::bad(VERSION_AT, what));
    }
    Ok(())
}

fn print_listing(
    page: &mut Page<'_>,
    partition: TopicPartition,
    kind: &str,
    listing: &Listing,
) -> Result<(), Stop> {
    let Listing { epoch, log_start, next, cleaned, pages, references, epoch_starts, producers } =
        listing;
    let bytes = listing.stored_bytes();
    let places = Count(references.len() as u64, "reference", "references").to_string();
    let places = match pages.len() as u64 {
        0 => places,
        count => format!("{} and {places}", Count(count, "page", "pages")),
    };
    page.line(
        0,
        format_args!(
            "{partition}: {kind}, epoch {epoch}, log start {log_start}, next offset {next}, \
             {places} to {bytes} bytes, {}",
            Count(producers.len() as u64, "producer", "producers")
        ),
    )?;
    if *cleaned > Offset::ZERO {
        page.line(1, format_args!("compacted up to offset {cleaned}"))?;
    }
    pages.iter().try_for_each(|below| print_ref(page, below))?;
    references.iter().try_for_each(|reference| print_reference(page, reference))?;
    for (epoch, start) in epoch_starts {
        page.line(1, format_args!("epoch {epoch} starts at offset {start}"))?;
    }
    producers.iter().try_for_each(|(id, producer)| print_producer(page, *id, producer))
}

pub(super) fn print_reference(page: &mut Page<'_>, reference: &Reference) -> Result<(), Stop> {
    let Reference { object, base, last, epoch, max_timestamp, data, index } = reference;
    let newest = Utc(*max_timestamp);
    page.line(
        1,
        format_args!(
            "offsets {base} to {last}: epoch {epoch}, {} bytes at {} of {object}, index {} bytes \
             at {}, newest {newest}",
            data.len, data.at, index.len, index.at
        ),
    )
}

fn print_producer(
    page: &mut Page<'_>,
    id: ProducerId,
    producer: &ProducerState,
) -> Result<(), Stop> {
    let (epoch, newest) = (producer.epoch, Utc(producer.last_timestamp));
    page.line(1, format_args!("producer {id} epoch {epoch}, newest {newest}"))?;
    for batch in &producer.batches {
        let (first, last, base, end) = (batch.first, batch.last, batch.base, batch.end);
        let text = format_args!("sequences {first} to {last} are offsets {base} to {end}");
        page.line(2, text)?;
    }
    Ok(())
}

fn stop(error: DecodeError) -> Stop {
    match error {
        DecodeError::NewerVersion(version) => Stop::Newer { at: VERSION_AT, version },
        // Positions are counted from behind the magic.
        DecodeError::Malformed(error) => Stop::bad(VERSION_AT + error.at as u64, error.what),
        // One checksum covers it all.
        error => Stop::bad(0, error.to_string()),
    }
}
