//! Ranks that are threads, connected by TCP.

use std::{net::TcpListener, thread, time::Duration};

use candle_core::{Device, Tensor};

use super::{sums::BUCKET, tcp::Tcp, *};

/// Runs `work` as each of `ranks` ranks, on threads.
fn among<T: Send>(ranks: usize, work: impl Fn(World) -> T + Sync) -> Vec<T> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (address, wait) = (("127.0.0.1".to_owned(), port), Duration::from_secs(5));
    thread::scope(|scope| {
        let work = &work;
        let start = |rank| {
            let address = address.clone();
            scope.spawn(move || work(World::join(move || Tcp::join(&address, rank, ranks, wait)).unwrap()))
        };
        let threads: Vec<_> = (0..ranks).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn sums_are_added_in_the_order_of_the_ranks_and_equal_everywhere() {
    // In f32, (1 + 1e8) - 1e8 is 0, and any other order gives 1 or no rounding at all.
    let sums = among(3, |world| {
        let mut values = [[1f32, 1e8, -1e8][world.rank()], world.rank() as f32];
        world.sum(&mut values).unwrap();
        let (stop, quiet) = (world.any(world.rank() == 2).unwrap(), world.any(false).unwrap());
        (values, stop, quiet, world.told(vec![world.rank() as u8]).unwrap())
    });
    assert_eq!(sums, vec![([0.0, 3.0], true, false, vec![0]); 3]);
}

#[test]
fn tensors_larger_than_a_bucket_are_added_up() {
    let found = among(2, |world| {
        let of = |n: usize| Tensor::full(world.rank() as f32 + n as f32, n, &Device::Cpu).unwrap();
        let mut buckets = world.buckets().unwrap();
        for (number, tensor) in [(7, of(3)), (1, of(BUCKET / 4 + 1)), (5, of(5))] {
            buckets.add(number, &tensor).unwrap();
            world.any(false).unwrap(); // other sums in between
        }
        let largest = |t: &Tensor| t.max(0).unwrap().to_scalar::<f32>().unwrap();
        let sums = buckets.finish().unwrap();
        sums.iter().map(|(number, sum)| (*number, sum.elem_count(), largest(sum))).collect::<Vec<_>>()
    });
    let large = BUCKET / 4 + 1;
    assert_eq!(found[0], [(7, 3, 7.0), (1, large, (2 * large + 1) as f32), (5, 5, 11.0)]);
    assert_eq!(found[0], found[1]);
}

#[test]
fn a_rank_that_differs_is_named_by_all_and_one_that_is_gone_is_noticed() {
    let told = among(3, |world| {
        let digest = [u8::from(world.rank() == 1)];
        world.same("checkpoint", &digest).unwrap_err().to_string()
    });
    assert!(told.iter().all(|error| error.contains("rank 1 has another")), "{told:?}");
    let told = among(3, |world| match world.rank() {
        1 => String::new(), // gone at once
        _ => (0..3).find_map(|_| world.any(true).err()).unwrap().to_string(),
    });
    assert!(told[0].contains("rank 1 is gone"), "{told:?}");
    assert!(told[2].contains("rank 0 is gone"), "{told:?}");
}

#[test]
fn ranks_that_do_not_come_are_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = Tcp::join(&("127.0.0.1".to_owned(), port), 0, 3, Duration::from_millis(100)).err().unwrap();
    assert!(error.to_string().contains("waited for rank 1, 2"), "{error}");
    let error = Tcp::join(&("127.0.0.1".to_owned(), port), 1, 3, Duration::from_millis(100)).err().unwrap();
    assert!(error.to_string().contains("rank 0 does not answer at 127.0.0.1"), "{error}");
}
