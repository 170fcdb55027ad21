//! What end-to-end tests share: servers, clients, waiting for conditions
