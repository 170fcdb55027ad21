//! DescribeCluster: the proxies, as admin clients ask for them.

use weir_protocol::{
    ErrorCode,
    messages::{
        DescribeClusterRequest, DescribeClusterResponse, describe_cluster::DescribeClusterBroker,
    },
};

use super::{Answer, Call, Handlers, operations};
use crate::cluster::Proxy;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(handlers: &Handlers, call: &Call, request: &DescribeClusterRequest) -> Answer {
    let refused = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((ErrorCode::MISMATCHED_ENDPOINT_TYPE, "this is a broker's endpoint")),
        _ => Some((ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, "there is no such kind of endpoint")),
    };
    if let Some((error_code, message)) = refused {
        let error_message = Some(message.into());
        let endpoint_type = request.endpoint_type;
        return Answer::of(DescribeClusterResponse {
            error_code,
            error_message,
            endpoint_type,
            ..DescribeClusterResponse::default()
        });
    }
    let shown = handlers.shown(call);
    let broker = |proxy: &Proxy| DescribeClusterBroker {
        broker_id: proxy.node.0 as i32,
        host: proxy.host.clone(),
        port: i32::from(proxy.port),
        rack: proxy.rack(),
        is_fenced: false,
    };
    let asked = request.include_cluster_authorized_operations;
    Answer::of(DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: handlers.cluster_id.clone(),
        controller_id: shown.controller().0 as i32,
        brokers: shown.proxies().iter().map(broker).collect(),
        cluster_authorized_operations: operations::asked(asked, operations::CLUSTER),
        ..DescribeClusterResponse::default()
    })
}
