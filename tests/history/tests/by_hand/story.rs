//! Histories told by hand: events in their order, and the logs that they leave.

use weir_history::{
    Client, Delivery, Edge, End, Entry, Event, Group, History, Isolation, Order, Partition, Place,
    Seen, Transaction, Value, Violation, Writer,
};

/// The group of every story.
pub(crate) const GROUP: Group = Group(0);
/// Who writes.
pub(crate) const WRITER: Client = Client(0);
/// Who reads everything.
pub(crate) const READER: Client = Client(1);
/// Who reads only what is committed.
pub(crate) const COMMITTED: Client = Client(2);

/// A value of the idempotent writer.
pub(crate) fn once(number: u32) -> Value {
    Value { writer: 0, number }
}

/// A value of the writer that is not idempotent and does not send again by itself.
pub(crate) fn each(number: u32) -> Value {
    Value { writer: 1, number }
}

/// A value of a writer whose library sends again by itself. There are ten.
pub(crate) fn any(number: u32) -> Value {
    Value { writer: 2, number }
}

/// A place in a log.
pub(crate) fn place(partition: i32, offset: i64) -> Place {
    Place { partition, offset }
}

/// A record.
pub(crate) fn seen(partition: i32, offset: i64, value: Value) -> Seen {
    Seen { place: place(partition, offset), value }
}

/// A history in the making.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) history: History,
    pub(crate) end: End,
}

/// A story as told.
pub(crate) fn story(tell: impl FnOnce(&mut Story) -> &mut Story) -> Story {
    let mut story = Story::new();
    tell(&mut story);
    story
}

impl Story {
    pub(crate) fn new() -> Self {
        let writer = |delivery, sent| Writer { delivery, sent };
        let history = History {
            writers: vec![
                writer(Delivery::ExactlyOnce, 0),
                writer(Delivery::OnceEachSent, 0),
                writer(Delivery::AtLeastOnce, 10),
            ],
            clients: vec![
                Isolation::ReadUncommitted,
                Isolation::ReadUncommitted,
                Isolation::ReadCommitted,
            ],
            ..History::default()
        };
        let partitions = vec![Partition::default(); 2];
        Self { history, end: End { partitions, ..End::default() } }
    }

    /// An event; gives the story back for more.
    pub(crate) fn then(&mut self, client: Client, event: Event) -> &mut Self {
        self.history.log.push(Entry { client, event });
        self
    }

    /// The order of a request that leaves now.
    pub(crate) fn now(&self) -> Order {
        Order(self.history.log.len() as u64)
    }

    pub(crate) fn sent(&mut self, partition: i32, value: Value) -> &mut Self {
        self.then(WRITER, Event::Sent { value, partition, transaction: None })
    }

    /// Sent within a transaction.
    pub(crate) fn sent_in(&mut self, transaction: u32, partition: i32, value: Value) -> &mut Self {
        let transaction = Some(Transaction(transaction));
        self.then(WRITER, Event::Sent { value, partition, transaction })
    }

    /// A record at the end of a log, whether anybody knows or not.
    pub(crate) fn lands(&mut self, partition: i32, value: Value) -> &mut Self {
        let offset = self.take_offset(partition);
        self.end.read.push(seen(partition, offset, value));
        self
    }

    /// A control record at the end of a log.
    pub(crate) fn control(&mut self, partition: i32) -> &mut Self {
        self.take_offset(partition);
        self
    }

    fn edges(&mut self, partition: i32) -> &mut Partition {
        &mut self.end.partitions[usize::try_from(partition).expect("partitions count from 0")]
    }

    fn take_offset(&mut self, partition: i32) -> i64 {
        let edges = self.edges(partition);
        edges.end += 1;
        edges.stable = edges.end;
        edges.end - 1
    }

    pub(crate) fn acked(&mut self, partition: i32, offset: i64, value: Value) -> &mut Self {
        self.then(WRITER, Event::Acked(seen(partition, offset, value)))
    }

    /// Sent, landed and acknowledged.
    pub(crate) fn writes(&mut self, partition: i32, value: Value) -> &mut Self {
        self.sent(partition, value).lands(partition, value);
        let last = self.edges(partition).end - 1;
        self.acked(partition, last, value)
    }

    /// Sent within a transaction, landed and acknowledged.
    pub(crate) fn writes_in(
        &mut self,
        transaction: u32,
        partition: i32,
        value: Value,
    ) -> &mut Self {
        self.sent_in(transaction, partition, value).lands(partition, value);
        let last = self.edges(partition).end - 1;
        self.acked(partition, last, value)
    }

    pub(crate) fn committing(&mut self, transaction: u32) -> &mut Self {
        self.then(WRITER, Event::Committing(Transaction(transaction)))
    }

    /// Asked to commit, and told that it is committed.
    pub(crate) fn commits(&mut self, transaction: u32) -> &mut Self {
        self.committing(transaction);
        self.then(WRITER, Event::Committed(Transaction(transaction)))
    }

    pub(crate) fn aborts(&mut self, transaction: u32) -> &mut Self {
        self.then(WRITER, Event::Aborted(Transaction(transaction)))
    }

    pub(crate) fn polls(
        &mut self,
        client: Client,
        partition: i32,
        offset: i64,
        value: Value,
    ) -> &mut Self {
        self.then(client, Event::Polled(seen(partition, offset, value)))
    }

    pub(crate) fn sends_offset(&mut self, offset: i64) -> &mut Self {
        let event = Event::OffsetSent { group: GROUP, place: place(0, offset), transaction: None };
        self.then(READER, event)
    }

    pub(crate) fn sends_offset_in(&mut self, transaction: u32, offset: i64) -> &mut Self {
        let transaction = Some(Transaction(transaction));
        let event = Event::OffsetSent { group: GROUP, place: place(0, offset), transaction };
        self.then(READER, event)
    }

    pub(crate) fn commits_offset(&mut self, offset: i64) -> &mut Self {
        self.sends_offset(offset).acks_offset(offset)
    }

    pub(crate) fn acks_offset(&mut self, offset: i64) -> &mut Self {
        self.then(READER, Event::OffsetAcked { group: GROUP, place: place(0, offset) })
    }

    /// Reads the committed offset, asking now.
    pub(crate) fn reads_offset(&mut self, offset: i64) -> &mut Self {
        let asked = self.now();
        self.then(READER, Event::OffsetRead { group: GROUP, place: place(0, offset), asked })
    }

    /// Goes on at the committed offset, asking now.
    pub(crate) fn resumes(&mut self, client: Client, offset: i64) -> &mut Self {
        let asked = self.now();
        self.then(client, Event::Resumed { group: GROUP, place: place(0, offset), asked })
    }

    /// A client asks now where a log ends and is told in epoch 1.
    pub(crate) fn told(&mut self, client: Client, edge: Edge, offset: i64) -> &mut Self {
        let asked = self.now();
        self.told_of(client, edge, offset, 1, asked)
    }

    pub(crate) fn told_of(
        &mut self,
        client: Client,
        edge: Edge,
        offset: i64,
        epoch: i32,
        asked: Order,
    ) -> &mut Self {
        let place = place(0, offset);
        self.then(client, Event::EdgeSeen { edge, place, epoch, asked })
    }

    /// What shows to `read_committed` readers in the end: these values of the log.
    pub(crate) fn shows(&mut self, values: &[Value]) -> &mut Self {
        let shown = self.end.read.iter().filter(|it| values.contains(&it.value));
        self.end.read_committed = Some(shown.copied().collect());
        self
    }

    /// Raises the log's start to an offset, by retention.
    pub(crate) fn expires(&mut self, partition: i32, below: i64) -> &mut Self {
        self.edges(partition).retention = true;
        self.starts_at(partition, below)
    }

    /// Raises the log's start to an offset.
    pub(crate) fn starts_at(&mut self, partition: i32, below: i64) -> &mut Self {
        self.edges(partition).log_start = below;
        let stays = |it: &Seen| it.place.partition != partition || it.place.offset >= below;
        self.end.read.retain(stays);
        if let Some(read) = &mut self.end.read_committed {
            read.retain(stays);
        }
        self
    }

    /// Every violation.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let history = History { end: Some(self.end.clone()), ..self.history.clone() };
        history.check().violations().to_vec()
    }

    /// The names of all violations.
    pub(crate) fn found(&self) -> Vec<String> {
        let name = |it: &Violation| it.to_string().split(':').next().unwrap_or_default().to_owned();
        self.violations().iter().map(name).collect()
    }
}
