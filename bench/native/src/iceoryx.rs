// SPDX-License-Identifier: GPL-2.0

//! `iceoryx2`, which moves samples from one process to another through shared memory.

use crate::{spin, Shared, Way, CAPACITY};
use iceoryx2::prelude::*;
use std::error::Error;

type Service =
    iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, [u8], ()>;

/// Without a configuration file it logs a warning for each node.
pub(crate) fn quiet() {
    set_log_level(LogLevel::Error);
}

fn service(size: usize, number: u32) -> Result<Service, Box<dyn Error>> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let name = format!("vfifo-bench/{}/{number}", std::os::unix::process::parent_id());
    let service = node
        .service_builder(&name.as_str().try_into()?)
        .publish_subscribe::<[u8]>()
        .enable_safe_overflow(false)
        .history_size(0)
        .max_publishers(1)
        .max_subscribers(1)
        .subscriber_max_buffer_size((CAPACITY / size).max(2))
        .open_or_create()?;
    Ok(service)
}

fn produce(shared: &Shared, block: &[u8], number: u32) -> Result<(), Box<dyn Error>> {
    let publisher = service(block.len(), number)?
        .publisher_builder()
        .initial_max_slice_len(block.len())
        // The default would also wait for a consumer that has exited.
        .backpressure_strategy(BackpressureStrategy::DiscardData)
        .create()?;
    let mut spins = 0;
    while !shared.stopped() {
        let sample = publisher.loan_slice_uninit(block.len())?;
        if sample.write_from_slice(block).send()? == 0 {
            spin(&mut spins);
        }
    }
    Ok(())
}

fn consume(shared: &Shared, block: &mut [u8], number: u32) -> Result<(), Box<dyn Error>> {
    let subscriber = service(block.len(), number)?.subscriber_builder().create()?;
    let mut spins = 0;
    while !shared.stopped() {
        match subscriber.receive()? {
            Some(sample) => {
                block.copy_from_slice(sample.payload());
                shared.count(block.len());
            }
            None => spin(&mut spins),
        }
    }
    Ok(())
}

/// One sample for each block, as many as fit in the capacity. The block is copied into and out of
/// the sample, as in the other ways.
pub(crate) fn way(number: u32) -> Way {
    Way {
        name: "iceoryx2",
        threads: false,
        produce: Box::new(move |shared, block| produce(shared, block, number).expect("iceoryx2")),
        consume: Box::new(move |shared, block| consume(shared, block, number).expect("iceoryx2")),
    }
}
