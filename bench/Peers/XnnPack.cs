using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// XNNPACK's operators on NHWC maps, if this machine has the library; by its interface of 2022, where sizes and arrays are set
/// in one call, and by today's, which has a call for each.
/// </summary>
internal sealed unsafe class XnnPack : IConvolutionPeer
{
    // XNN_EXTRA_BYTES: what its kernels may read beyond an input.
    private const int ExtraFloats = 4;

    private readonly nint _library;
    private readonly delegate* unmanaged<nuint, nint> _createPool;
    private readonly delegate* unmanaged<nint, void> _destroyPool;
    private readonly delegate* unmanaged<nint, nint, int> _run;
    private readonly delegate* unmanaged<nint, int> _delete;

    private XnnPack(nint library)
    {
        // pthreadpool's functions are looked for in the libraries that this one was linked with, too.
        _library = library;
        _createPool = (delegate* unmanaged<nuint, nint>)NativeLibrary.GetExport(library, "pthreadpool_create");
        _destroyPool = (delegate* unmanaged<nint, void>)NativeLibrary.GetExport(library, "pthreadpool_destroy");
        _run = (delegate* unmanaged<nint, nint, int>)NativeLibrary.GetExport(library, "xnn_run_operator");
        _delete = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "xnn_delete_operator");
        Check(((delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "xnn_initialize"))(0), "xnn_initialize");
    }

    /// <summary>How to bring it in.</summary>
    public static string Missing => "XNNPACK: not found; name libXNNPACK.so in XNNPACK (Debian's, by `apt-get install libxnnpack0`, is slow on AVX2: its compiler kept an accumulator in memory)";

    public string Name => "XNNPACK";

    /// <summary>The library, or null.</summary>
    public static XnnPack? TryLoad() =>
        PeerLibrary.Find("XNNPACK", ["libXNNPACK.so.0", "libXNNPACK.so"], "xnn_create_convolution2d_nhwc_f32") is not 0 and nint library
            ? new(library)
            : null;

    public IConvolutionRun? Prepare(ConvolutionProblem problem, int threads) => new Prepared(this, problem, threads);

    private static void Check(int status, string function)
    {
        if (status != 0)
            throw new InvalidOperationException($"{function} gave status {status}.");
    }

    private sealed class Prepared : IConvolutionRun
    {
        private readonly XnnPack _owner;
        private readonly ConvolutionLayer _layer;
        private readonly AlignedBuffer<float> _input;
        private readonly AlignedBuffer<float> _output;
        private readonly AlignedBuffer<byte>? _workspace;
        private readonly nint _pool;
        private readonly nint _operator;

        public Prepared(XnnPack owner, ConvolutionProblem problem, int threads)
        {
            _owner = owner;
            ConvolutionLayer layer = _layer = problem.Layer;
            _input = new(layer.InputLength + ExtraFloats);
            _output = new(layer.OutputLength + ExtraFloats);
            int pixels = layer.Size * layer.Size;
            for (nint i = 0; i < layer.Batch; i++)
                Transpose(problem.Input.Pointer + (i * layer.Inputs * pixels), layer.Inputs, pixels, _input.Pointer + (i * layer.Inputs * pixels));

            // [output][row][column][input of the group].
            int window = layer.Kernel * layer.Kernel;
            using AlignedBuffer<float> weights = new(layer.WeightLength + ExtraFloats);
            for (nint o = 0; o < layer.Outputs; o++)
                Transpose(problem.Weights.Pointer + (o * layer.Depth), layer.GroupInputs, window, weights.Pointer + (o * layer.Depth));

            _pool = owner._createPool((nuint)threads);
            nint library = owner._library, made;
            if (layer.IsFullyConnected)
            {
                nuint inputs = (nuint)layer.Inputs, outputs = (nuint)layer.Outputs;
                nint create = NativeLibrary.GetExport(library, "xnn_create_fully_connected_nc_f32"), setup = NativeLibrary.GetExport(library, "xnn_setup_fully_connected_nc_f32");
                if (NativeLibrary.TryGetExport(library, "xnn_reshape_fully_connected_nc_f32", out nint reshape))
                {
                    Check(
                        ((delegate* unmanaged<nuint, nuint, nuint, nuint, float*, float*, float, float, uint, nint, nint*, int>)create)(
                            inputs, outputs, inputs, outputs, weights.Pointer, problem.Bias.Pointer, float.NegativeInfinity, float.PositiveInfinity, 0, 0, &made),
                        "xnn_create_fully_connected_nc_f32");
                    Check(((delegate* unmanaged<nint, nuint, nint, int>)reshape)(made, (nuint)layer.Batch, _pool), "xnn_reshape_fully_connected_nc_f32");
                    Check(((delegate* unmanaged<nint, float*, float*, int>)setup)(made, _input.Pointer, _output.Pointer), "xnn_setup_fully_connected_nc_f32");
                }
                else
                {
                    Check(
                        ((delegate* unmanaged<nuint, nuint, nuint, nuint, float*, float*, float, float, uint, nint*, int>)create)(
                            inputs, outputs, inputs, outputs, weights.Pointer, problem.Bias.Pointer, float.NegativeInfinity, float.PositiveInfinity, 0, &made),
                        "xnn_create_fully_connected_nc_f32");
                    Check(((delegate* unmanaged<nint, nuint, float*, float*, nint, int>)setup)(made, (nuint)layer.Batch, _input.Pointer, _output.Pointer, _pool), "xnn_setup_fully_connected_nc_f32");
                }
            }
            else
            {
                uint padding = (uint)layer.Padding, kernel = (uint)layer.Kernel, stride = (uint)layer.Stride, groups = (uint)layer.Groups;
                nuint groupInputs = (nuint)layer.GroupInputs, groupOutputs = (nuint)(layer.Outputs / layer.Groups), size = (nuint)layer.Size;
                nint create = NativeLibrary.GetExport(library, "xnn_create_convolution2d_nhwc_f32"), setup = NativeLibrary.GetExport(library, "xnn_setup_convolution2d_nhwc_f32");
                if (NativeLibrary.TryGetExport(library, "xnn_reshape_convolution2d_nhwc_f32", out nint reshape))
                {
                    Check(
                        ((delegate* unmanaged<uint, uint, uint, uint, uint, uint, uint, uint, uint, uint, uint, nuint, nuint, nuint, nuint, float*, float*, float, float, uint, nint, nint*, int>)create)(
                            padding, padding, padding, padding, kernel, kernel, stride, stride, 1, 1, groups, groupInputs, groupOutputs, (nuint)layer.Inputs, (nuint)layer.Outputs,
                            weights.Pointer, problem.Bias.Pointer, float.NegativeInfinity, float.PositiveInfinity, 0, 0, &made),
                        "xnn_create_convolution2d_nhwc_f32");
                    nuint workspace, outputHeight, outputWidth;
                    Check(
                        ((delegate* unmanaged<nint, nuint, nuint, nuint, nuint*, nuint*, nuint*, nint, int>)reshape)(
                            made, (nuint)layer.Batch, size, size, &workspace, &outputHeight, &outputWidth, _pool),
                        "xnn_reshape_convolution2d_nhwc_f32");
                    _workspace = new((nint)workspace + 1);
                    Check(((delegate* unmanaged<nint, byte*, float*, float*, int>)setup)(made, _workspace.Pointer, _input.Pointer, _output.Pointer), "xnn_setup_convolution2d_nhwc_f32");
                }
                else
                {
                    Check(
                        ((delegate* unmanaged<uint, uint, uint, uint, uint, uint, uint, uint, uint, uint, uint, nuint, nuint, nuint, nuint, float*, float*, float, float, uint, nint*, int>)create)(
                            padding, padding, padding, padding, kernel, kernel, stride, stride, 1, 1, groups, groupInputs, groupOutputs, (nuint)layer.Inputs, (nuint)layer.Outputs,
                            weights.Pointer, problem.Bias.Pointer, float.NegativeInfinity, float.PositiveInfinity, 0, &made),
                        "xnn_create_convolution2d_nhwc_f32");
                    Check(
                        ((delegate* unmanaged<nint, nuint, nuint, nuint, float*, float*, nint, int>)setup)(made, (nuint)layer.Batch, size, size, _input.Pointer, _output.Pointer, _pool),
                        "xnn_setup_convolution2d_nhwc_f32");
                }
            }

            _operator = made;
        }

        public string Detail => "";

        public void Run() => Check(_owner._run(_operator, _pool), "xnn_run_operator");

        public void CopyTo(float* output)
        {
            int pixels = _layer.OutputSize * _layer.OutputSize;
            for (nint i = 0; i < _layer.Batch; i++)
                Transpose(_output.Pointer + (i * _layer.Outputs * pixels), pixels, _layer.Outputs, output + (i * _layer.Outputs * pixels));
        }

        public void Dispose()
        {
            _owner._delete(_operator);
            _owner._destroyPool(_pool);
            _workspace?.Dispose();
            _input.Dispose();
            _output.Dispose();
        }

        private static void Transpose(float* from, int rows, int columns, float* to)
        {
            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < columns; j++)
                    to[((nint)j * rows) + i] = from[((nint)i * columns) + j];
            }
        }
    }
}
