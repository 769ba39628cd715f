//! An exported ONNX file, read back and run node by node with candle's own operations, gives the network's logits.
//!
//! What a node means is written here a second time, after ONNX's documentation; `runtimes.rs` asks onnxruntime.

use crate::networks::{Case, small};
use crate::reader::{Model, Node};
use candle_core::{D, DType, Device, Result, Tensor};
use std::collections::HashMap;

/// The outputs of a model.
fn run(model: &Model, images: &Tensor) -> Tensor {
    let mut values: HashMap<&str, Tensor> = model.constants.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    values.insert("images", images.clone());
    for node in &model.nodes {
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|name| &values[name.as_str()]).collect();
        let result = apply(node, &inputs).unwrap_or_else(|error| panic!("{node:?}: {error}"));
        values.insert(&node.output, result);
    }
    values.remove("logits").unwrap()
}

fn apply(node: &Node, inputs: &[&Tensor]) -> Result<Tensor> {
    let x = inputs[0];
    let numbers = |i: usize| inputs[i].flatten_all().unwrap().to_vec1::<i64>().unwrap();
    let axis = |rank: usize| node.int("axis").rem_euclid(rank as i64) as usize;
    let places = |i: usize| Tensor::from_iter(numbers(i).into_iter().map(|n| n as u32), &Device::Cpu);
    Ok(match node.kind.as_str() {
        "Conv" => {
            let (strides, pads) = (node.ints("strides"), node.ints("pads"));
            let y = x.conv2d(inputs[1], pads[0] as usize, strides[0] as usize, 1, node.int("group") as usize)?;
            match inputs.get(2) {
                Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
                None => y,
            }
        }
        "LayerNormalization" => {
            let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
            let variance = (centred.sqr()?.mean_keepdim(D::Minus1)? + node.float("epsilon"))?;
            centred.broadcast_div(&variance.sqrt()?)?.broadcast_mul(inputs[1])?.broadcast_add(inputs[2])?
        }
        "BatchNormalization" => {
            let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|i| inputs[i].reshape((1, (), 1, 1)).unwrap());
            let root = (variance + node.float("epsilon"))?.sqrt()?;
            x.broadcast_sub(&mean)?.broadcast_div(&root)?.broadcast_mul(&scale)?.broadcast_add(&bias)?
        }
        "Gelu" => x.gelu_erf()?,
        "Relu" => x.relu()?,
        "Sigmoid" => (x.neg()?.exp()? + 1.0)?.recip()?,
        "Add" => x.broadcast_add(inputs[1])?,
        "Mul" => x.broadcast_mul(inputs[1])?,
        "Div" => x.broadcast_div(inputs[1])?,
        "Max" => x.broadcast_maximum(inputs[1])?,
        "MatMul" => matmul(x, inputs[1])?,
        "Softmax" => {
            let axis = axis(x.rank());
            let powers = x.broadcast_sub(&x.max_keepdim(axis)?)?.exp()?;
            powers.broadcast_div(&powers.sum_keepdim(axis)?)?
        }
        "Concat" => Tensor::cat(inputs, axis(x.rank()))?,
        "AveragePool" => {
            assert_eq!((node.ints("kernel_shape"), node.ints("strides")), (&[2, 2][..], &[2, 2][..]));
            x.avg_pool2d(2)?
        }
        "GlobalAveragePool" => x.mean_keepdim((2, 3))?,
        "GlobalMaxPool" => x.max_keepdim(2)?.max_keepdim(3)?,
        "ReduceMean" => x.mean_keepdim(numbers(1)[0] as usize)?,
        "ReduceMax" => x.max_keepdim(numbers(1)[0] as usize)?,
        "ReduceSum" => x.sum_keepdim(numbers(1)[0] as usize)?,
        "Gather" => x.index_select(&places(1)?, axis(x.rank()))?,
        "Reshape" => {
            let side = |(i, n): (usize, i64)| if n == 0 { x.dims()[i] } else { usize::try_from(n).unwrap() };
            x.contiguous()?.reshape(numbers(1).into_iter().enumerate().map(side).collect::<Vec<_>>())?
        }
        "Transpose" => x.permute(node.ints("perm").iter().map(|n| *n as usize).collect::<Vec<_>>())?.contiguous()?,
        "Slice" => {
            let (from, to, axis) = (numbers(1)[0] as usize, numbers(2)[0], numbers(3)[0] as usize);
            let end = x.dims()[axis].min(usize::try_from(to).unwrap());
            x.narrow(axis, from, end - from)?.contiguous()?
        }
        "Pad" => {
            let pads = numbers(1);
            assert_eq!(pads[..6], [0; 6]);
            x.pad_with_zeros(2, 0, pads[6] as usize)?.pad_with_zeros(3, 0, pads[7] as usize)?
        }
        "Flatten" => x.flatten_from(node.int("axis") as usize)?,
        other => panic!("no meaning is written here for {other}"),
    })
}

/// The last two dimensions are matrices; those before are the same, or `b` has none.
fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if b.rank() == 2 {
        return a.contiguous()?.broadcast_matmul(b);
    }
    let stacked = |t: &Tensor| t.contiguous()?.flatten_to(t.rank() - 3);
    let product = stacked(a)?.matmul(&stacked(b)?)?;
    product.reshape([&a.dims()[..a.rank() - 1], &b.dims()[b.rank() - 1..]].concat())
}

fn largest_difference(case: &Case) -> f32 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.onnx");
    case.write_onnx(&path);
    let model = Model::read(&std::fs::read(&path).unwrap());
    assert_eq!((model.opset, model.notes["classes"].as_str()), (hemf_export::OPSET as u64, "[\"a\", \"b\"]"));
    let worst = [1, 3].map(|batch| {
        let logits = run(&model, &case.images.narrow(0, 0, batch).unwrap());
        let expected = case.logits.narrow(0, 0, batch).unwrap();
        assert_eq!((logits.dims(), logits.dtype()), (expected.dims(), DType::F32));
        (logits - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap()
    });
    worst[0].max(worst[1])
}

#[test]
fn every_network_gives_its_logits_for_any_batch() {
    for case in small() {
        let worst = largest_difference(&case);
        assert!(worst <= 1e-4, "{}: {worst}", case.name);
    }
}

#[test]
fn a_missing_weight_is_named() {
    let case = small().swap_remove(0);
    let mut weights: HashMap<String, Tensor> = case.store.state().into_iter().collect();
    weights.remove("fu1.norm2.weight");
    let error = hemf_export::write_onnx("never.onnx".as_ref(), &case.graph, &weights, &[]).unwrap_err();
    assert!(error.to_string().contains("fu1.norm2.weight"), "{error}");
}
