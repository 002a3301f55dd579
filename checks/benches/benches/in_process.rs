//! Benchmarks without a server: `cargo bench -p rockset-apikeys-benches`.
//!
//! They measure the cost of building a client per request, of cloning one, and of the contract's
//! types compared with plain strings.

#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rockset_apikeys::Client;
use rockset_apikeys::types::ListApiKeysResponse;
use rustls::crypto::ring;
use serde::Deserialize;
use serde_json::json;

fn client(criterion: &mut Criterion) {
    ring::default_provider().install_default().expect("it is the first one");
    let mut group = criterion.benchmark_group("client");
    let builder = || Client::builder().api_server("https://api.example.com").api_key("0123456789");
    group.bench_function("build", |bencher| bencher.iter(|| builder().build()));
    group.bench_function("build reqwest's", |bencher| {
        bencher.iter(|| reqwest::Client::builder().build());
    });
    let client = builder().build().expect("the settings are valid");
    group.bench_function("clone", |bencher| bencher.iter(|| client.clone()));
}

/// A key of plain strings, without open enums, timestamps and secrets.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Strings {
    name: String,
    key: String,
    created_at: Option<String>,
    created_by: Option<String>,
    created_by_apikey_name: Option<String>,
    expiry_time: Option<String>,
    last_access_time: Option<String>,
    role: Option<String>,
    state: Option<String>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Listing {
    data: Vec<Strings>,
}

fn listing(criterion: &mut Criterion) {
    let key = json!({
        "created_at": "2026-11-23T15:11:05.787Z",
        "created_by": "admin@me.com",
        "created_by_apikey_name": "initial",
        "key": "2B9m4O",
        "last_access_time": "2026-11-23T15:11:07.442Z",
        "name": "my-app",
        "role": "read-only",
        "state": "ACTIVE",
    });
    let body = json!({ "data": vec![key; 1_000] }).to_string();
    let mut group = criterion.benchmark_group("decode a listing of 1,000");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("types of the contract", |bencher| {
        bencher.iter(|| serde_json::from_str::<ListApiKeysResponse>(black_box(&body)));
    });
    group.bench_function("plain strings", |bencher| {
        bencher.iter(|| serde_json::from_str::<Listing>(black_box(&body)));
    });
}

criterion_group!(in_process, client, listing);
criterion_main!(in_process);
