//! The cluster's metadata: a small consistent store, the model in it, views of it, the controller
