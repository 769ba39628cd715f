//! Gradients without candle's graph: what the operations of this crate did, in order, to be gone back.
//!
//! Candle's own backward pass begins every gradient as a tensor of zeros and adds to it, on one thread, and keeps every
//! map of the network to its end: a quarter of the time of a training step. [`record`] notes the operations instead;
//! [`Tape::backward`] moves the first gradient of a tensor into its place, adds others on all threads, and drops what a step
//! needed as soon as it is taken back. Of a map whose values no gradient needs, the shape alone is kept.
//! [`Tape::backward_each`] hands gradients over while it goes.
//!
//! Candle's operations may stand between: each stretch of them is handed to candle's backward pass.

use crate::part::Sums;
use crate::profile::{Pass, bytes, timed};
use candle_core::backprop::GradStore;
use candle_core::op::BackpropOp;
use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Shape, Storage, Tensor, TensorId, Var, bail};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

thread_local! {
    /// What is being recorded on this thread, if anything is.
    static RECORDING: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// The operations of a forward pass, with the tensors that their gradients need.
#[derive(Default)]
pub struct Tape {
    nodes: Vec<Node>,
    /// Tensors whose origin is known: results on this tape, and of candle's operations where they are noted.
    known: HashSet<TensorId>,
}

struct Node {
    output: Noted,
    origin: Origin,
}

/// Of which tensors an operation's gradient needs the values; the shapes of all are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Inputs,
    Output,
    /// Inputs and output.
    All,
    Nothing,
}

/// A tensor on the tape.
struct Noted {
    id: TensorId,
    /// The tensor; or, where its values are not needed, one of its shape that is NaN everywhere and takes no room.
    tensor: Tensor,
}

impl Noted {
    fn whole(tensor: &Tensor) -> Self {
        Self { id: tensor.id(), tensor: tensor.clone() }
    }

    fn output(tensor: &Tensor, needs: Needs) -> Result<Self> {
        if matches!(needs, Needs::Output | Needs::All) { Ok(Self::whole(tensor)) } else { Self::shape(tensor) }
    }

    fn shape(tensor: &Tensor) -> Result<Self> {
        Ok(Self { id: tensor.id(), tensor: nan(tensor)?.broadcast_as(tensor.shape())? })
    }

    /// Adds a gradient of it, if there is one and it is wanted.
    fn add(&self, gradients: &mut Gradients, gradient: Option<Tensor>) -> Result<()> {
        match gradient {
            Some(gradient) if self.tensor.track_op() => add(gradients, self.id, gradient),
            _ => Ok(()),
        }
    }
}

thread_local! {
    /// The numbers that shapes are noted with: on a GPU each is made by several launches, and there are as many shapes as
    /// operations.
    static NANS: RefCell<Vec<Tensor>> = const { RefCell::new(Vec::new()) };
}

/// A NaN of a tensor's type on its device, a variable where the tensor is tracked.
fn nan(like: &Tensor) -> Result<Tensor> {
    let fits = |nan: &&Tensor| {
        nan.dtype() == like.dtype() && nan.track_op() == like.track_op() && nan.device().same_device(like.device())
    };
    NANS.with_borrow_mut(|nans| {
        if let Some(nan) = nans.iter().find(fits) {
            return Ok(nan.clone());
        }
        let nan = Tensor::full(f32::NAN, (), like.device())?.to_dtype(like.dtype())?;
        let nan = if like.track_op() { Var::from_tensor(&nan)?.into_inner() } else { nan };
        nans.push(nan.clone());
        Ok(nan)
    })
}

/// What is known of gradients so far.
type Gradients = HashMap<TensorId, Tensor>;

/// Where a tensor comes from.
enum Origin {
    One(Box<dyn CustomOp1 + Send + Sync>, Noted),
    Two(Box<dyn CustomOp2 + Send + Sync>, [Noted; 2]),
    Three(Box<dyn CustomOp3 + Send + Sync>, [Noted; 3]),
    /// Operations of candle's own.
    Candle,
    /// A part whose insides were dropped, to be run again.
    Again(Again),
    /// The sum of a tensor over all parts of a batch.
    OverParts(Noted, Rc<dyn Sums>),
}

struct Again {
    inputs: Vec<Tensor>,
    part: Part,
    /// What it has gradients for.
    variables: Vec<Tensor>,
}

type Part = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// Runs a forward pass and notes its operations on this thread. A pass within a pass is a recording of its own.
pub fn record<T>(pass: impl FnOnce() -> Result<T>) -> Result<(T, Tape)> {
    /// Puts back what was being recorded before, also when the pass panics.
    struct Outer(Option<Tape>);
    impl Drop for Outer {
        fn drop(&mut self) {
            RECORDING.set(self.0.take());
        }
    }
    let outer = Outer(RECORDING.replace(Some(Tape::default())));
    let result = pass()?;
    let tape = RECORDING.take().unwrap_or_default();
    drop(outer);
    Ok((result, tape))
}

/// Runs a part of a network so that a recording keeps its inputs and its result, but not what is between: the backward
/// pass runs the part again. `part` must give the same every time; without a recording it is simply run.
pub fn recompute(inputs: &[&Tensor], part: impl Fn(&[Tensor]) -> Result<Tensor> + 'static) -> Result<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().map(|t| (*t).clone()).collect();
    if !recording() {
        return part(&inputs);
    }
    let (output, dropped) = record(|| part(&inputs))?;
    let variables = dropped.variables_by_first_use().concat();
    drop(dropped);
    let output = match output.is_variable() {
        true => output,
        false => Var::from_tensor(&output.detach())?.into_inner(),
    };
    let again = Again { inputs: inputs.clone(), part: Box::new(part), variables };
    on_tape(&inputs.iter().collect::<Vec<_>>(), |_| {
        Ok(Node { output: Noted::shape(&output)?, origin: Origin::Again(again) })
    })?;
    Ok(output)
}

/// The sum of `t` over all parts of a batch. Its gradient is the sum of all parts' gradients.
pub(crate) fn sum_over_parts(t: &Tensor, sums: &Rc<dyn Sums>) -> Result<Tensor> {
    if !recording() {
        bail!("a pass over a part of a batch must be recorded")
    }
    let sum = Var::from_tensor(&sums.sum_tensor(&t.detach())?)?.into_inner();
    on_tape(&[t], |tape| {
        let origin = Origin::OverParts(tape.input(t, Needs::Nothing)?, Rc::clone(sums));
        Ok(Node { output: Noted::shape(&sum)?, origin })
    })?;
    Ok(sum)
}

/// Applies an operation, whose gradient needs what is said: noted where a pass is recorded, in candle's graph otherwise.
pub(crate) fn apply1(op: impl CustomOp1 + Send + Sync + 'static, needs: Needs, x: &Tensor) -> Result<Tensor> {
    timed(op.name(), Pass::Forward, &[x], || run1(op, needs, x), bytes)
}

fn run1(op: impl CustomOp1 + Send + Sync + 'static, needs: Needs, x: &Tensor) -> Result<Tensor> {
    if !recording() || !x.track_op() {
        return x.apply_op1(op);
    }
    let (storage, layout) = x.storage_and_layout();
    let output = match &*storage {
        Storage::Cpu(x) => result(op.cpu_fwd(x, layout)?, Storage::Cpu),
        Storage::Cuda(x) => result(op.cuda_fwd(x, layout)?, Storage::Cuda),
        Storage::Metal(x) => result(op.metal_fwd(x, layout)?, Storage::Metal),
    };
    drop(storage);
    on_tape(&[x], |tape| {
        let origin = Origin::One(Box::new(op), tape.input(x, needs)?);
        Ok(Node { output: Noted::output(&output, needs)?, origin })
    })?;
    Ok(output)
}

/// [`apply1`] of two tensors.
pub(crate) fn apply2(
    op: impl CustomOp2 + Send + Sync + 'static,
    needs: Needs,
    x: &Tensor,
    y: &Tensor,
) -> Result<Tensor> {
    timed(op.name(), Pass::Forward, &[x, y], || run2(op, needs, x, y), bytes)
}

fn run2(op: impl CustomOp2 + Send + Sync + 'static, needs: Needs, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if !recording() || ![x, y].iter().any(|t| t.track_op()) {
        return x.apply_op2(y, op);
    }
    let ((x_storage, lx), (y_storage, ly)) = (x.storage_and_layout(), y.storage_and_layout());
    let output = match (&*x_storage, &*y_storage) {
        (Storage::Cpu(x), Storage::Cpu(y)) => result(op.cpu_fwd(x, lx, y, ly)?, Storage::Cpu),
        (Storage::Cuda(x), Storage::Cuda(y)) => result(op.cuda_fwd(x, lx, y, ly)?, Storage::Cuda),
        (Storage::Metal(x), Storage::Metal(y)) => result(op.metal_fwd(x, lx, y, ly)?, Storage::Metal),
        _ => bail!("{}: its tensors are on different devices", op.name()),
    };
    drop((x_storage, y_storage));
    on_tape(&[x, y], |tape| {
        let origin = Origin::Two(Box::new(op), [tape.input(x, needs)?, tape.input(y, needs)?]);
        Ok(Node { output: Noted::output(&output, needs)?, origin })
    })?;
    Ok(output)
}

/// [`apply1`] of three tensors.
pub(crate) fn apply3(
    op: impl CustomOp3 + Send + Sync + 'static,
    needs: Needs,
    x: &Tensor,
    y: &Tensor,
    z: &Tensor,
) -> Result<Tensor> {
    timed(op.name(), Pass::Forward, &[x, y, z], || run3(op, needs, x, y, z), bytes)
}

fn run3(
    op: impl CustomOp3 + Send + Sync + 'static,
    needs: Needs,
    x: &Tensor,
    y: &Tensor,
    z: &Tensor,
) -> Result<Tensor> {
    if !recording() || ![x, y, z].iter().any(|t| t.track_op()) {
        return x.apply_op3(y, z, op);
    }
    let ((x_storage, lx), (y_storage, ly), (z_storage, lz)) =
        (x.storage_and_layout(), y.storage_and_layout(), z.storage_and_layout());
    let output = match (&*x_storage, &*y_storage, &*z_storage) {
        (Storage::Cpu(x), Storage::Cpu(y), Storage::Cpu(z)) => result(op.cpu_fwd(x, lx, y, ly, z, lz)?, Storage::Cpu),
        (Storage::Cuda(x), Storage::Cuda(y), Storage::Cuda(z)) => {
            result(op.cuda_fwd(x, lx, y, ly, z, lz)?, Storage::Cuda)
        }
        (Storage::Metal(x), Storage::Metal(y), Storage::Metal(z)) => {
            result(op.metal_fwd(x, lx, y, ly, z, lz)?, Storage::Metal)
        }
        _ => bail!("{}: its tensors are on different devices", op.name()),
    };
    drop((x_storage, y_storage, z_storage));
    on_tape(&[x, y, z], |tape| {
        let inputs = [tape.input(x, needs)?, tape.input(y, needs)?, tape.input(z, needs)?];
        Ok(Node { output: Noted::output(&output, needs)?, origin: Origin::Three(Box::new(op), inputs) })
    })?;
    Ok(output)
}

fn recording() -> bool {
    RECORDING.with_borrow(Option::is_some)
}

/// Notes an operation, and before it those of its inputs that come from candle's operations.
fn on_tape(inputs: &[&Tensor], node: impl FnOnce(&Tape) -> Result<Node>) -> Result<()> {
    RECORDING.with_borrow_mut(|tape| {
        let Some(tape) = tape else { return Ok(()) };
        inputs.iter().for_each(|input| tape.note(input));
        let node = node(tape)?;
        tape.push(node);
        Ok(())
    })
}

/// A tensor that candle takes for a variable: its own operations are followed back to it, and no further.
fn result<S>((values, shape): (S, Shape), storage: impl Fn(S) -> Storage) -> Tensor {
    Tensor::from_storage(storage(values), shape, BackpropOp::none(), true)
}

impl Tape {
    /// Notes a tensor that comes from candle's operations, before it is first used.
    fn note(&mut self, input: &Tensor) {
        if input.track_op() && !input.is_variable() && !self.known.contains(&input.id()) {
            self.push(Node { output: Noted::whole(input), origin: Origin::Candle });
        }
    }

    fn push(&mut self, node: Node) {
        self.known.insert(node.output.id);
        self.nodes.push(node);
    }

    /// An operation's input. What is no result on the tape, a weight or an image, is there in any case.
    fn input(&self, t: &Tensor, needs: Needs) -> Result<Noted> {
        match needs {
            Needs::Output | Needs::Nothing if self.known.contains(&t.id()) => Noted::shape(t),
            _ => Ok(Noted::whole(t)),
        }
    }

    /// The gradients of `loss`, a single number, for all variables that it depends on.
    pub fn backward(self, loss: &Tensor) -> Result<GradStore> {
        let mut gradients = GradStore::default();
        self.backward_each(loss, |variable, gradient| {
            gradients.insert(variable, gradient);
            Ok(())
        })?;
        Ok(gradients)
    }

    /// As [`Tape::backward`], but gives each variable with its gradient to `finished` while it goes back, as soon as
    /// nothing more will be added to it: something else can be done with it meanwhile. Passes of the same operations give
    /// them in the same order.
    pub fn backward_each(self, loss: &Tensor, mut finished: impl FnMut(&Tensor, Tensor) -> Result<()>) -> Result<()> {
        self.backward_from(loss, loss.ones_like()?, &mut finished)
    }

    fn backward_from(
        mut self,
        output: &Tensor,
        gradient: Tensor,
        finished: &mut dyn FnMut(&Tensor, Tensor) -> Result<()>,
    ) -> Result<()> {
        self.note(output);
        if !self.known.contains(&output.id()) {
            return finished(output, gradient); // a variable itself
        }
        let mut gradients = Gradients::from([(output.id(), gradient)]);
        let mut last = self.variables_by_first_use();
        while let (Some(node), Some(variables)) = (self.nodes.pop(), last.pop()) {
            node.backward(&mut gradients)?;
            for variable in variables {
                if let Some(gradient) = gradients.remove(&variable.id()) {
                    finished(&variable, gradient)?;
                }
            }
        }
        Ok(())
    }

    /// For each node the variables that no node before it uses: on the way back it is the last that adds to their
    /// gradients.
    fn variables_by_first_use(&self) -> Vec<Vec<Tensor>> {
        let mut seen = self.known.clone();
        let mut new = |node: &Node| node.variables().into_iter().filter(|t| seen.insert(t.id())).collect();
        self.nodes.iter().map(&mut new).collect()
    }
}

impl Node {
    /// The variables that it adds a gradient to, and results on the tape.
    fn variables(&self) -> Vec<Tensor> {
        let used: Vec<_> = match &self.origin {
            Origin::One(_, x) | Origin::OverParts(x, _) => vec![&x.tensor],
            Origin::Two(_, inputs) => inputs.iter().map(|input| &input.tensor).collect(),
            Origin::Three(_, inputs) => inputs.iter().map(|input| &input.tensor).collect(),
            Origin::Candle => self.output.tensor.sorted_nodes(),
            Origin::Again(again) => again.variables.iter().collect(),
        };
        used.into_iter().filter(|t| t.is_variable()).cloned().collect()
    }

    /// Adds what the gradient of its output makes of those of its inputs.
    fn backward(self, gradients: &mut Gradients) -> Result<()> {
        let Node { output, origin } = self;
        let Some(g) = gradients.remove(&output.id) else { return Ok(()) }; // nothing came of it
        let output = output.tensor;
        match origin {
            Origin::One(op, x) => {
                let bwd = || op.bwd(&x.tensor, &output, &g);
                let dx = timed(op.name(), Pass::Backward, &[&x.tensor, &g], bwd, |dx| many([dx]))?;
                x.add(gradients, dx)?;
            }
            Origin::Two(op, [x, y]) => {
                let bwd = || op.bwd(&x.tensor, &y.tensor, &output, &g);
                let tensors = [&x.tensor, &y.tensor, &g];
                let (dx, dy) = timed(op.name(), Pass::Backward, &tensors, bwd, |(dx, dy)| many([dx, dy]))?;
                x.add(gradients, dx)?;
                y.add(gradients, dy)?;
            }
            Origin::Three(op, [x, y, z]) => {
                let bwd = || op.bwd(&x.tensor, &y.tensor, &z.tensor, &output, &g);
                let tensors = [&x.tensor, &y.tensor, &z.tensor, &g];
                let results = |(dx, dy, dz): &_| many([dx, dy, dz]);
                let (dx, dy, dz) = timed(op.name(), Pass::Backward, &tensors, bwd, results)?;
                x.add(gradients, dx)?;
                y.add(gradients, dy)?;
                z.add(gradients, dz)?;
            }
            Origin::Candle => {
                let mut inside = (&output * &g.detach())?.sum_all()?.backward()?;
                for node in output.sorted_nodes() {
                    if let (true, Some(gradient)) = (node.is_variable(), inside.remove(node)) {
                        add(gradients, node.id(), gradient)?;
                    }
                }
            }
            Origin::Again(Again { inputs, part, .. }) => {
                let (again, tape) = record(|| part(&inputs))?;
                tape.backward_from(&again, g, &mut |t, gradient| add(gradients, t.id(), gradient))?;
            }
            Origin::OverParts(x, sums) => x.add(gradients, Some(sums.sum_tensor(&g)?))?,
        }
        Ok(())
    }
}

/// Bytes of the gradients that there are.
fn many<const N: usize>(gradients: [&Option<Tensor>; N]) -> u64 {
    gradients.into_iter().flatten().map(bytes).sum()
}

/// Adds a gradient of the tensor of this name.
fn add(gradients: &mut Gradients, id: TensorId, gradient: Tensor) -> Result<()> {
    let sum = match gradients.remove(&id) {
        Some(before) => crate::add(&before, &gradient)?,
        None => gradient,
    };
    gradients.insert(id, sum.detach());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use candle_core::DType;

    /// A little network with a map used twice, candle's operations in the middle and at the end.
    fn pass(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
        let y = crate::gelu(&crate::linear(x, w, Some(b))?)?;
        let z = crate::layer_norm(&(crate::add(&y, x)? * 0.5)?, b, b, 1e-3)?;
        let z = crate::mul(&z, &y)?.transpose(0, 1)?;
        crate::sigmoid(&z.contiguous()?)?.sqr()?.sum_all()
    }

    fn variables() -> [Var; 3] {
        [random(&[7, 5], 1), random(&[5, 5], 2), random(&[5], 3)].map(|t| Var::from_tensor(&t).unwrap())
    }

    fn close(a: &GradStore, b: &GradStore, vars: &[Var]) {
        for (i, var) in vars.iter().enumerate() {
            let [a, b] = [a, b].map(|store| store.get(var).unwrap_or_else(|| panic!("no gradient of {i}")));
            let apart = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let apart = apart.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
            assert!(apart < 1e-6, "gradient {i} differs by {apart:e}");
        }
    }

    #[test]
    fn gradients_are_those_of_candle() {
        let [x, w, b] = variables();
        let want = pass(&x, &w, &b).unwrap().backward().unwrap();
        let (loss, tape) = record(|| pass(&x, &w, &b)).unwrap();
        close(&tape.backward(&loss).unwrap(), &want, &[x, w, b]);
    }

    #[test]
    fn a_gradient_is_given_once_it_is_final_and_before_the_pass_is_over() {
        let [x, w, b] = variables();
        let (loss, tape) = record(|| {
            let first = crate::linear(&x, &w, None)?;
            let (w, b) = (w.as_tensor().clone(), b.as_tensor().clone());
            let second = recompute(&[&first], move |t| crate::gelu(&crate::linear(&t[0], &w, Some(&b))?))?;
            (crate::mul(&second, &first)? * 2.0)?.sum_all()
        })
        .unwrap();
        let (mut given, mut sizes) = (Vec::new(), Vec::new());
        tape.backward_each(&loss, |variable, gradient| {
            given.push(variable.id());
            sizes.push(gradient.dims().to_vec());
            Ok(())
        })
        .unwrap();
        // b is used by the second operation alone; x and w last by the first.
        assert_eq!(given, [b.id(), x.id(), w.id()]);
        assert_eq!(sizes, [vec![5], vec![7, 5], vec![5, 5]]);
    }

    #[test]
    fn values_that_no_gradient_needs_are_not_kept() {
        let [x, w, b] = variables();
        let (_, tape) = record(|| pass(&x, &w, &b)).unwrap();
        let kept = |node: &Node| {
            let room = |noted: &Noted| usize::from(noted.tensor.is_contiguous());
            match &node.origin {
                Origin::One(op, x) => Some((op.name(), [room(x), room(&node.output)])),
                Origin::Two(op, inputs) => Some((op.name(), [inputs.iter().map(room).sum(), room(&node.output)])),
                _ => None,
            }
        };
        let kept: Vec<_> = tape.nodes.iter().filter_map(kept).collect();
        // Of the sum the input alone that is no result.
        assert_eq!(kept, [("gelu", [1, 0]), ("add", [1, 0]), ("mul", [2, 0]), ("sigmoid", [0, 1])]);
    }

    #[test]
    fn a_part_that_is_run_again_gives_the_same() {
        let [x, w, b] = variables();
        let twice = |again: bool| {
            let (w, b) = (w.as_tensor().clone(), b.as_tensor().clone());
            let part = move |t: &[Tensor]| crate::gelu(&crate::linear(&t[0], &w, Some(&b))?);
            let y = if again { recompute(&[&x], part)? } else { part(&[x.as_tensor().clone()])? };
            crate::mul(&y, &x)?.sum_all()
        };
        let (want_loss, want) = record(|| twice(false)).unwrap();
        let (loss, tape) = record(|| twice(true)).unwrap();
        assert_eq!(loss.to_scalar::<f32>().unwrap(), want_loss.to_scalar::<f32>().unwrap());
        assert_eq!(tape.nodes.iter().filter(|node| matches!(node.origin, Origin::Three(..))).count(), 0);
        close(&tape.backward(&loss).unwrap(), &want.backward(&want_loss).unwrap(), &[x.clone(), w.clone(), b.clone()]);
    }

    #[test]
    fn a_pass_that_fails_or_is_nested_leaves_the_outer_recording() {
        let [x, w, b] = variables();
        let (loss, tape) = record(|| {
            assert!(record(|| crate::linear(&x, &b, None)).is_err());
            record(|| pass(&x, &w, &b))?;
            pass(&x, &w, &b)
        })
        .unwrap();
        assert!(!recording());
        let want = pass(&x, &w, &b).unwrap().backward().unwrap();
        close(&tape.backward(&loss).unwrap(), &want, &[x, w, b]);
    }
}
