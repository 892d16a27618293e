using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// Convolutions and fully connected layers of oneDNN 2 (the C API of version 3 is another), by one of its algorithms and in
/// the layouts that it chooses.
/// </summary>
internal sealed unsafe class OneDnnConvolution : IConvolutionPeer
{
    // Values of dnnl_types.h.
    private const int Cpu = 1;
    private const int Float32 = 3;
    private const int Inference = 96;
    private const int Direct = 1;
    private const int Winograd = 2;
    private const int Any = 1;
    private const int SourceQuery = 129;
    private const int WeightsQuery = 131;
    private const int DestinationQuery = 133;
    private const int ImplementationQuery = 8;
    private const int SourceArgument = 1;
    private const int DestinationArgument = 17;
    private const int WeightsArgument = 33;
    private const int BiasArgument = 41;

    // dnnl_memory_desc_t has 696 bytes, dnnl_convolution_desc_t 5,976.
    private const int MemoryDescription = 1024;
    private const int OperationDescription = 8192;

    private readonly nint _library;
    private readonly int _algorithm;
    private readonly nint _engine;
    private readonly nint _stream;
    private readonly delegate* unmanaged<nint, nint, int, Argument*, int> _execute;
    private readonly delegate* unmanaged<nint, int> _wait;

    private OneDnnConvolution(nint library, string name, int algorithm)
    {
        _library = library;
        _algorithm = algorithm;
        Name = algorithm == Winograd ? $"{name} Winograd" : name;
        _execute = (delegate* unmanaged<nint, nint, int, Argument*, int>)NativeLibrary.GetExport(library, "dnnl_primitive_execute");
        _wait = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "dnnl_stream_wait");
        nint engine, stream;
        Check(((delegate* unmanaged<nint*, int, nuint, int>)NativeLibrary.GetExport(library, "dnnl_engine_create"))(&engine, Cpu, 0), "dnnl_engine_create");
        Check(((delegate* unmanaged<nint*, nint, uint, int>)NativeLibrary.GetExport(library, "dnnl_stream_create"))(&stream, engine, 1), "dnnl_stream_create");
        (_engine, _stream) = (engine, stream);
    }

    public string Name { get; }

    /// <summary>By the direct sum and by Winograd's algorithm, or none.</summary>
    public static OneDnnConvolution[] TryLoad() =>
        PeerLibrary.Find(null, ["libdnnl.so.2"], "dnnl_convolution_forward_desc_init") is not 0 and nint library
            ? [new(library, OneDnn.Version(library), Direct), new(library, OneDnn.Version(library), Winograd)]
            : [];

    public IConvolutionRun? Prepare(ConvolutionProblem problem, int threads)
    {
        OpenMp.SetThreads(threads); // the code is made for so many
        ConvolutionLayer layer = problem.Layer;
        if (_algorithm == Winograd && !layer.IsWinograd)
            return null;
        byte* source = stackalloc byte[MemoryDescription], weights = stackalloc byte[MemoryDescription];
        byte* bias = stackalloc byte[MemoryDescription], destination = stackalloc byte[MemoryDescription], operation = stackalloc byte[OperationDescription];
        long[] sourceExtents, weightExtents, destinationExtents;
        if (layer.IsFullyConnected)
        {
            (sourceExtents, weightExtents, destinationExtents) = ([layer.Batch, layer.Inputs], [layer.Outputs, layer.Inputs], [layer.Batch, layer.Outputs]);
        }
        else
        {
            sourceExtents = [layer.Batch, layer.Inputs, layer.Size, layer.Size];
            destinationExtents = [layer.Batch, layer.Outputs, layer.OutputSize, layer.OutputSize];
            weightExtents = layer.Groups == 1
                ? [layer.Outputs, layer.Inputs, layer.Kernel, layer.Kernel]
                : [layer.Groups, layer.Outputs / layer.Groups, layer.GroupInputs, layer.Kernel, layer.Kernel];
        }

        Describe(source, sourceExtents, Any);
        Describe(weights, weightExtents, Any);
        Describe(bias, [layer.Outputs], Plain(1));
        Describe(destination, destinationExtents, Any);
        int status;
        if (layer.IsFullyConnected)
        {
            status = ((delegate* unmanaged<byte*, int, byte*, byte*, byte*, byte*, int>)Function("dnnl_inner_product_forward_desc_init"))(
                operation, Inference, source, weights, bias, destination);
        }
        else
        {
            long* strides = stackalloc long[2] { layer.Stride, layer.Stride }, padding = stackalloc long[2] { layer.Padding, layer.Padding };
            status = ((delegate* unmanaged<byte*, int, int, byte*, byte*, byte*, byte*, long*, long*, long*, int>)Function("dnnl_convolution_forward_desc_init"))(
                operation, Inference, _algorithm, source, weights, bias, destination, strides, padding, padding);
        }

        nint description = 0;
        if (status == 0)
            status = ((delegate* unmanaged<nint*, byte*, nint, nint, nint, int>)Function("dnnl_primitive_desc_create"))(&description, operation, 0, _engine, 0);
        if (status != 0)
            return null; // "unimplemented"

        // Direct where Winograd was asked for, or a plain loop, is not what the column says.
        string detail = Implementation(description);
        if (_algorithm == Winograd && !detail.Contains("wino", StringComparison.Ordinal))
        {
            Destroy("dnnl_primitive_desc_destroy", description);
            return null;
        }

        return new Prepared(this, problem, description, detail, sourceExtents, weightExtents, destinationExtents);
    }

    /// <summary>The tag of rows in their plain order.</summary>
    private static int Plain(int extents) => extents switch { 1 => 2, 2 => 3, 4 => 5, 5 => 7, _ => throw new ArgumentOutOfRangeException(nameof(extents), extents, "No such layer.") };

    private static void Check(int status, string function)
    {
        if (status != 0)
            throw new InvalidOperationException($"{function} gave status {status}.");
    }

    private nint Function(string name) => NativeLibrary.GetExport(_library, name);

    private void Destroy(string function, nint what) => ((delegate* unmanaged<nint, int>)Function(function))(what);

    private void Describe(byte* description, long[] extents, int tag)
    {
        fixed (long* first = extents)
            Check(((delegate* unmanaged<byte*, int, long*, int, int, int>)Function("dnnl_memory_desc_init_by_tag"))(description, extents.Length, first, Float32, tag), "dnnl_memory_desc_init_by_tag");
    }

    private string Implementation(nint description)
    {
        nint text = 0;
        Check(((delegate* unmanaged<nint, int, int, nint*, int>)Function("dnnl_primitive_desc_query"))(description, ImplementationQuery, 0, &text), "dnnl_primitive_desc_query");
        return Marshal.PtrToStringUTF8(text) ?? "";
    }

    private byte* Query(nint description, int what) =>
        (byte*)((delegate* unmanaged<nint, int, int, nint>)Function("dnnl_primitive_desc_query_md"))(description, what, 0);

    private nint Memory(byte* description, float* data)
    {
        nint memory;
        Check(((delegate* unmanaged<nint*, byte*, nint, float*, int>)Function("dnnl_memory_create"))(&memory, description, _engine, data), "dnnl_memory_create");
        return memory;
    }

    /// <summary>Copies from one layout to another.</summary>
    private void Reorder(byte* from, nint source, byte* to, nint destination)
    {
        nint description, primitive;
        Check(((delegate* unmanaged<nint*, byte*, nint, byte*, nint, nint, int>)Function("dnnl_reorder_primitive_desc_create"))(&description, from, _engine, to, _engine, 0), "dnnl_reorder_primitive_desc_create");
        Check(((delegate* unmanaged<nint*, nint, int>)Function("dnnl_primitive_create"))(&primitive, description), "dnnl_primitive_create");
        Argument* arguments = stackalloc Argument[2] { new(SourceArgument, source), new(DestinationArgument, destination) };
        Execute(primitive, arguments, 2);
        Destroy("dnnl_primitive_destroy", primitive);
        Destroy("dnnl_primitive_desc_destroy", description);
    }

    private void Execute(nint primitive, Argument* arguments, int count)
    {
        Check(_execute(primitive, _stream, count, arguments), "dnnl_primitive_execute");
        Check(_wait(_stream), "dnnl_stream_wait");
    }

    /// <summary>dnnl_exec_arg_t.</summary>
    private readonly struct Argument(int number, nint memory)
    {
        public readonly int Number = number;
        public readonly nint Memory = memory;
    }

    private sealed class Prepared : IConvolutionRun
    {
        private readonly OneDnnConvolution _owner;
        private readonly nint _description;
        private readonly nint _primitive;
        private readonly AlignedBuffer<float> _source;
        private readonly AlignedBuffer<float> _weights;
        private readonly AlignedBuffer<float> _destination;
        private readonly Argument[] _arguments;
        private readonly long[] _destinationExtents;

        public Prepared(OneDnnConvolution owner, ConvolutionProblem problem, nint description, string detail, long[] sourceExtents, long[] weightExtents, long[] destinationExtents)
        {
            _owner = owner;
            _description = description;
            _destinationExtents = destinationExtents;
            Detail = detail;
            nint primitive;
            Check(((delegate* unmanaged<nint*, nint, int>)owner.Function("dnnl_primitive_create"))(&primitive, description), "dnnl_primitive_create");
            _primitive = primitive;
            byte* source = owner.Query(description, SourceQuery), weights = owner.Query(description, WeightsQuery), destination = owner.Query(description, DestinationQuery);
            (_source, _weights, _destination) = (Allocate(source), Allocate(weights), Allocate(destination));
            byte* bias = stackalloc byte[MemoryDescription];
            owner.Describe(bias, [problem.Layer.Outputs], Plain(1));
            _arguments =
            [
                new(SourceArgument, Filled(source, _source, sourceExtents, problem.Input)),
                new(WeightsArgument, Filled(weights, _weights, weightExtents, problem.Weights)),
                new(BiasArgument, owner.Memory(bias, problem.Bias.Pointer)),
                new(DestinationArgument, owner.Memory(destination, _destination.Pointer)),
            ];
        }

        public string Detail { get; }

        public void Run()
        {
            fixed (Argument* arguments = _arguments)
                _owner.Execute(_primitive, arguments, _arguments.Length);
        }

        public void CopyTo(float* output)
        {
            byte* plain = stackalloc byte[MemoryDescription];
            _owner.Describe(plain, _destinationExtents, Plain(_destinationExtents.Length));
            nint memory = _owner.Memory(plain, output);
            _owner.Reorder(_owner.Query(_description, DestinationQuery), _arguments[^1].Memory, plain, memory);
            _owner.Destroy("dnnl_memory_destroy", memory);
        }

        public void Dispose()
        {
            foreach (Argument argument in _arguments)
                _owner.Destroy("dnnl_memory_destroy", argument.Memory);
            _owner.Destroy("dnnl_primitive_destroy", _primitive);
            _owner.Destroy("dnnl_primitive_desc_destroy", _description);
            _source.Dispose();
            _weights.Dispose();
            _destination.Dispose();
        }

        private AlignedBuffer<float> Allocate(byte* description) =>
            new((nint)((delegate* unmanaged<byte*, nuint>)_owner.Function("dnnl_memory_desc_get_size"))(description) / sizeof(float));

        private nint Filled(byte* description, AlignedBuffer<float> buffer, long[] extents, AlignedBuffer<float> values)
        {
            byte* plain = stackalloc byte[MemoryDescription];
            _owner.Describe(plain, extents, Plain(extents.Length));
            nint from = _owner.Memory(plain, values.Pointer), to = _owner.Memory(description, buffer.Pointer);
            _owner.Reorder(plain, from, description, to);
            _owner.Destroy("dnnl_memory_destroy", from);
            return to;
        }
    }
}
