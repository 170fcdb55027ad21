//! How the process behaves to whoever runs it: starting, telling how it is, stopping, refusing.

use std::time::Duration;

use weir_acceptance::disk_full;
use weir_acceptance::load::{Reader, Writer, WriterSettings};
use weir_test_support::{Admin, Weir, http};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

#[test]
fn a_ready_server_says_so_by_http() {
    let server = Weir::new(WEIR).start().unwrap();
    let address = server.http_address().unwrap();
    for path in ["/healthz", "/readyz", "/metrics"] {
        let (status, body) = http::get(address, path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
    }
}

#[test]
fn a_stop_under_load_exits_with_0_and_keeps_what_was_acknowledged() {
    let mut server = Weir::new(WEIR).start().unwrap();
    Admin::connect(server.address()).unwrap().create_topic("stop", 2).unwrap();
    let settings = WriterSettings::new(0, true);
    let mut writer = Writer::new(&server.bootstrap(), "stop", 2, settings).unwrap();
    for _ in 0..1_000 {
        writer.send().unwrap();
    }
    assert_eq!(server.stop().unwrap().code(), Some(0));
    server.restart().unwrap();
    writer.flush().unwrap();
    let ends = Admin::connect(server.address()).unwrap().end_offsets("stop", 2).unwrap();
    assert_eq!(ends, [500, 500]);
    let read = Reader::new(&server.bootstrap(), "stop", 2).unwrap().read_to(&ends).unwrap();
    for seen in writer.into_history().1 {
        assert!(read.contains(&seen), "{seen:?}");
    }
}

#[test]
fn a_data_folder_in_use_is_refused_in_one_line() {
    let server = Weir::new(WEIR).start().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let second = Weir::new(WEIR).data(server.data_dir());
    let mut second = second.start_unready(scratch.path()).unwrap();
    assert_eq!(second.wait(Duration::from_secs(60)).unwrap().code(), Some(1));
    let folder = server.data_dir().display().to_string();
    let said = second.stderr();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(&folder)).collect();
    assert_eq!(lines.len(), 1, "{said}");
}

#[test]
fn a_full_disk_stops_producers_only_and_only_while_it_is_full() {
    let server = Weir::new(WEIR).own_disk(512).start().unwrap();
    disk_full::run(&server).unwrap();
}
