using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>This library's convolution by one algorithm; fully connected layers are matrix products.</summary>
internal sealed class OwnConvolution(ConvolutionAlgorithm algorithm, WorkerPool pool) : IConvolutionPeer
{
    public string Name => algorithm switch
    {
        ConvolutionAlgorithm.Auto => "ours",
        ConvolutionAlgorithm.Direct => "direct",
        ConvolutionAlgorithm.Depthwise => "depthwise",
        ConvolutionAlgorithm.Winograd2 => "F(2,3)",
        ConvolutionAlgorithm.Winograd4 => "F(4,3)",
        ConvolutionAlgorithm.Winograd6 => "F(6,3)",
        _ => $"{algorithm}",
    };

    public IConvolutionRun? Prepare(ConvolutionProblem problem, int threads)
    {
        ConvolutionLayer layer = problem.Layer;
        if (layer.IsFullyConnected)
            return algorithm is ConvolutionAlgorithm.Auto or ConvolutionAlgorithm.Direct ? new Product(problem, pool) : null;
        bool able = algorithm switch
        {
            ConvolutionAlgorithm.Auto => true,
            ConvolutionAlgorithm.Direct => layer.Groups == 1,
            ConvolutionAlgorithm.Depthwise => layer.Groups > 1,
            _ => layer.IsWinograd,
        };
        return able ? new Prepared(problem, algorithm, pool) : null;
    }

    private sealed unsafe class Prepared : IConvolutionRun
    {
        private readonly Convolution2D _layer;
        private readonly AlignedBuffer<float> _inputMemory;
        private readonly AlignedBuffer<float> _outputMemory;
        private readonly BlockedImages _input;
        private readonly BlockedImages _output;
        private readonly WorkerPool _pool;

        public Prepared(ConvolutionProblem problem, ConvolutionAlgorithm algorithm, WorkerPool pool)
        {
            ConvolutionLayer layer = problem.Layer;
            _pool = pool;
            _layer = new(layer.Shape, problem.Weights.AsSpan(), problem.Bias.AsSpan(), Activation.None, layer.OutputSize, layer.OutputSize, algorithm);
            int lanes = _layer.AcceptsInterleaved && layer.Inputs <= BlockedImages.MostInterleaved ? layer.Inputs : BlockedImages.Block;
            _inputMemory = new(BlockedImages.Length(layer.Batch, layer.Inputs, layer.Size, layer.Size, _layer.Halo, lanes));
            _outputMemory = new(BlockedImages.Length(layer.Batch, layer.Outputs, layer.OutputSize, layer.OutputSize));
            _input = new(_inputMemory.Pointer, layer.Batch, layer.Inputs, layer.Size, layer.Size, _layer.Halo, lanes);
            _output = new(_outputMemory.Pointer, layer.Batch, layer.Outputs, layer.OutputSize, layer.OutputSize);
            float* from = problem.Input.Pointer;
            for (nint i = 0; i < layer.InputLength; i++)
                *Place(_input, i) = from[i];
        }

        public string Detail => $"{_layer.Algorithm}";

        public void Run() => _layer.Run(_input, _output, _pool);

        public void CopyTo(float* output)
        {
            nint length = (nint)_output.Images * _output.Channels * _output.Height * _output.Width;
            for (nint i = 0; i < length; i++)
                output[i] = *Place(_output, i);
        }

        public void Dispose()
        {
            _layer.Dispose();
            _inputMemory.Dispose();
            _outputMemory.Dispose();
        }

        /// <summary>Where the element stands that has number <paramref name="index"/> in NCHW.</summary>
        private static float* Place(in BlockedImages images, nint index)
        {
            (nint map, nint pixel) = Math.DivRem(index, (nint)images.Height * images.Width);
            (int image, int channel) = Math.DivRem((int)map, images.Channels);
            return images.At(image, channel / images.Lanes, pixel / images.Width, pixel % images.Width) + (channel % images.Lanes);
        }
    }

    private sealed unsafe class Product(ConvolutionProblem problem, WorkerPool pool) : IConvolutionRun
    {
        private readonly ConvolutionLayer _layer = problem.Layer;
        private readonly AlignedBuffer<float> _output = new(problem.Layer.OutputLength);

        public string Detail => "";

        public void Run()
        {
            for (int image = 0; image < _layer.Batch; image++)
                problem.Bias.AsSpan().CopyTo(_output.AsSpan((nint)image * _layer.Outputs, _layer.Outputs));
            Gemm.Multiply(
                1f, new(problem.Input.Pointer, _layer.Batch, _layer.Inputs), false, new(problem.Weights.Pointer, _layer.Outputs, _layer.Inputs), true,
                1f, new(_output.Pointer, _layer.Batch, _layer.Outputs), pool);
        }

        public void CopyTo(float* output) => _output.AsSpan().CopyTo(new(output, (int)_output.Length));

        public void Dispose() => _output.Dispose();
    }
}
