using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>One thread's part in training a <see cref="SkipGramModel"/>: its random numbers and scratch. Not for two threads at once.</summary>
public sealed unsafe class SkipGramWorker : IDisposable
{
    private readonly SkipGramModel _model;
    private readonly AlignedBuffer<float> _scratch;
    private readonly AlignedBuffer<nint> _pointers;
    private readonly float* _coefficients;
    private readonly float* _zeroRow;
    private readonly float** _contexts;
    private readonly float** _contextCopies;
    private readonly float** _outputs;
    private readonly float* _input;
    private readonly float* _output;
    private readonly nint _stride;
    private int[] _sentence = [];
    private SplitMix64 _random;

    // Negatives of this target and of the next, drawn one target ahead so that their rows are on the way from memory.
    private Sampled _current;
    private Sampled _next;

    internal SkipGramWorker(SkipGramModel model, long seed)
    {
        _model = model;
        _random = new SplitMix64(seed);
        int contextCapacity = 2 * model.Parameters.Window;
        int blocks = (model.Parameters.Negative + 1 + SkipGramKernel.Outputs - 1) / SkipGramKernel.Outputs;
        int outputs = blocks * SkipGramKernel.Outputs;

        // Coefficients, with room for whole vectors behind; copies of the contexts where there are several blocks; one row of
        // zeros that stands in for the outputs that a block lacks (its coefficients are 0, so it stays zero).
        int pairs = (contextCapacity * outputs) + 32;
        int copies = blocks > 1 ? contextCapacity * model.Stride : 0;
        _scratch = new AlignedBuffer<float>(pairs + copies + model.Stride);
        _pointers = new AlignedBuffer<nint>((2 * contextCapacity) + outputs);
        _input = model.Input.Data;
        _output = model.Output.Data;
        _stride = model.Stride;
        _coefficients = _scratch.Pointer;
        _zeroRow = _coefficients + pairs + copies;
        _contexts = (float**)_pointers.Pointer;
        _contextCopies = _contexts + contextCapacity;
        _outputs = _contextCopies + contextCapacity;
        for (int c = 0; c < contextCapacity && copies > 0; c++)
            _contextCopies[c] = _coefficients + pairs + (c * model.Stride);

        _current = new Sampled(outputs);
        _next = new Sampled(outputs);
    }

    /// <summary>
    /// One pass over one sentence: each kept word is a target, and the words around it are its contexts (the pairs of
    /// word2vec.c). Words occurring twice in a window see each other's update.
    /// </summary>
    /// <param name="sentence">Word ids; windows do not leave the sentence.</param>
    /// <param name="alpha">The learning rate.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the model (position and value are named), or <paramref name="alpha"/> is not finite.</exception>
    public void Train(ReadOnlySpan<int> sentence, float alpha)
    {
        if (!float.IsFinite(alpha))
            throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "The learning rate must be finite.");
        int kept = Subsample(sentence);
        TrainAction action = new(this, kept, alpha);
        Isa.Dispatch(ref action);
        GC.KeepAlive(this); // the buffers behind the pointers go with their owners
    }

    /// <summary>Frees the scratch.</summary>
    public void Dispose()
    {
        _scratch.Dispose();
        _pointers.Dispose();
    }

    private int Subsample(ReadOnlySpan<int> sentence)
    {
        if (_sentence.Length < sentence.Length)
            _sentence = new int[Math.Max(sentence.Length, 1024)];

        uint[] thresholds = _model.KeepThresholds;
        int kept = 0;
        for (int i = 0; i < sentence.Length; i++)
        {
            int word = sentence[i];
            if ((uint)word >= (uint)thresholds.Length)
                throw new ArgumentOutOfRangeException(nameof(sentence), word, $"The word id at position {i} is outside the model's {thresholds.Length} words.");

            uint threshold = thresholds[word];
            _sentence[kept] = word;
            if (threshold == uint.MaxValue || (uint)(_random.Next() >> 32) < threshold)
                kept++;
        }

        return kept;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TrainKept<TWide>(int kept, float alpha)
        where TWide : unmanaged, IWide<TWide>
    {
        SkipGramParameters parameters = _model.Parameters;
        int window = parameters.Window;
        bool shrink = parameters.ShrinkWindows;
        bool shared = parameters.SharedNegatives;
        nint stride = _stride;
        nint rowBytes = stride * sizeof(float);
        float* input = _input;
        ReadOnlySpan<int> words = _sentence.AsSpan(0, kept);
        float** contexts = _contexts;

        for (int i = 0; i < Math.Min(window, kept); i++)
            Prefetch.RowToL1(input + (words[i] * stride), rowBytes);
        if (kept > 0)
            Draw(_next, words[0]);

        for (int i = 0; i < words.Length; i++)
        {
            (_current, _next) = (_next, _current);
            if (i + 1 < words.Length)
                Draw(_next, words[i + 1]);
            if (i + window < words.Length)
                Prefetch.RowToL1(input + (words[i + window] * stride), rowBytes);

            int reach = shrink ? 1 + (int)_random.NextBelow((uint)window) : window;
            int first = Math.Max(i - reach, 0);
            int last = Math.Min(i + reach, words.Length - 1);
            int count = 0;
            for (int c = first; c < i; c++)
                contexts[count++] = input + (words[c] * stride);
            for (int c = i + 1; c <= last; c++)
                contexts[count++] = input + (words[c] * stride);

            if (shared)
            {
                if (count > 0)
                    Step<TWide>(contexts, count, alpha);
                continue;
            }

            for (int c = 0; c < count; c++)
            {
                if (c > 0)
                    Draw(_current, words[i]);
                Step<TWide>(contexts + c, 1, alpha);
            }
        }
    }

    /// <summary>Logits, coefficients and update of some contexts against the current target and its negatives.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Step<TWide>(float** contexts, int count, float alpha)
        where TWide : unmanaged, IWide<TWide>
    {
        nint stride = _stride;
        nint columns = (_model.Dimension + TWide.Lanes - 1) / TWide.Lanes * TWide.Lanes;
        float* output = _output;
        float* coefficients = _coefficients;
        float** rows = _outputs;
        Sampled sampled = _current;
        int blocks = (sampled.Count + SkipGramKernel.Outputs - 1) / SkipGramKernel.Outputs;
        int padded = blocks * SkipGramKernel.Outputs;
        int blockPairs = count * SkipGramKernel.Outputs;
        for (int j = 0; j < sampled.Count; j++)
            rows[j] = output + (sampled.Words[j] * stride);
        for (int j = sampled.Count; j < padded; j++)
            rows[j] = _zeroRow;

        for (int block = 0; block < blocks; block++)
            SkipGramKernel.Logits<TWide>(contexts, count, rows + (block * SkipGramKernel.Outputs), columns, coefficients + (block * blockPairs));
        SkipGramKernel.NoiseCoefficients<TWide>(coefficients, count * padded, alpha);
        for (int c = 0; c < count; c++)
            coefficients[c * SkipGramKernel.Outputs] += alpha; // the target's label is 1
        if (sampled.Irregular || sampled.Count < padded)
            ApplyMultiplicity(sampled, padded, count);

        float** before = contexts;
        for (int block = 0; block < blocks; block++)
        {
            if (block == 0 && blocks > 1)
            {
                for (int c = 0; c < count; c++)
                    new ReadOnlySpan<float>(contexts[c], (int)stride).CopyTo(new Span<float>(_contextCopies[c], (int)stride));
                before = _contextCopies;
            }

            SkipGramKernel.Update<TWide>(contexts, before, count, rows + (block * SkipGramKernel.Outputs), columns, coefficients + (block * blockPairs));
        }
    }

    /// <summary>A noise word drawn m times counts m times; an output that only fills the block counts 0 times.</summary>
    private void ApplyMultiplicity(Sampled sampled, int padded, int count)
    {
        for (int j = 1; j < padded; j++)
        {
            int times = j < sampled.Count ? sampled.Multiplicity[j] : 0;
            if (times == 1)
                continue;

            float* k = _coefficients + (j / SkipGramKernel.Outputs * count * SkipGramKernel.Outputs) + (j % SkipGramKernel.Outputs);
            for (int c = 0; c < count; c++)
                k[c * SkipGramKernel.Outputs] *= times;
        }
    }

    /// <summary>Target and negatives of one step; the target itself is left out of the noise, as in word2vec.c.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Draw(Sampled sampled, int target)
    {
        NoiseDistribution noise = _model.Noise;
        SplitMix64 random = _random;
        int negative = _model.Parameters.Negative;
        int[] words = sampled.Words;
        words[0] = target;
        PrefetchOutput(target);
        int count = 1;
        bool irregular = false;
        for (int i = 0; i < negative; i++)
        {
            int word = noise.Draw(ref random);
            int seen = 0;
            while (seen < count && words[seen] != word)
                seen++;
            if (seen == count)
            {
                PrefetchOutput(word);
                sampled.Multiplicity[count] = 1;
                words[count++] = word;
            }
            else if (seen > 0)
            {
                sampled.Multiplicity[seen]++;
                irregular = true;
            }
        }

        _random = random;
        sampled.Count = count;
        sampled.Irregular = irregular;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void PrefetchOutput(int word) => Prefetch.RowToL1(_output + (word * _stride), _stride * sizeof(float));

    /// <summary>A target (first) and its distinct noise words with how often each was drawn.</summary>
    private sealed class Sampled(int capacity)
    {
        public readonly int[] Words = new int[capacity];
        public readonly int[] Multiplicity = new int[capacity];
        public int Count;
        public bool Irregular;
    }

    private struct TrainAction(SkipGramWorker worker, int kept, float alpha) : IWideAction
    {
        public readonly void Run<TWide>()
            where TWide : unmanaged, IWide<TWide> => worker.TrainKept<TWide>(kept, alpha);
    }
}
