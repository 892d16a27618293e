using System.Globalization;

namespace EmbeddingKernels.Bench;

/// <summary>openTSNE by FFT and scikit-learn by Barnes-Hut, each in a Python process for each run, which times itself.</summary>
internal sealed class PythonTsne : ITsnePeer
{
    // Version, milliseconds of an early and a late step (nan: not known), seconds of the affinities, wall and CPU seconds of
    // the steps, wall and CPU seconds of all.
    private const string OpenTsne = """
        import sys, time, numpy, scipy.sparse, openTSNE
        folder, output, given, threads, early, steps = sys.argv[1:]
        threads, early, steps = int(threads), int(early), int(steps)
        start = numpy.load(folder + "/start.npy").astype(numpy.float64)
        if given == "1":
            columns = numpy.load(folder + "/indices.npy").astype(numpy.int32)
            rows = numpy.load(folder + "/indptr.npy").astype(numpy.int32)
            p = scipy.sparse.csr_matrix((numpy.load(folder + "/data.npy").astype(numpy.float64), columns, rows))
        else:
            x = numpy.load(folder + "/x.npy").astype(numpy.float64)
        t0, c0 = time.perf_counter(), time.process_time()
        if given == "1":
            affinities = openTSNE.affinity.PrecomputedAffinities(p)
        else:
            affinities = openTSNE.affinity.PerplexityBasedNN(x, perplexity=30, method="auto", n_jobs=threads, random_state=1)
        embedding = openTSNE.TSNEEmbedding(start, affinities, negative_gradient_method="fft", n_jobs=threads, random_state=1)
        t1, c1 = time.perf_counter(), time.process_time()
        embedding.optimize(early, exaggeration=12, momentum=0.8, learning_rate="auto", inplace=True)
        t2 = time.perf_counter()
        embedding.optimize(steps - early, exaggeration=1, momentum=0.8, learning_rate="auto", inplace=True)
        t3, c3 = time.perf_counter(), time.process_time()
        numpy.save(output, numpy.asarray(embedding).astype(numpy.float32))
        print((t2 - t1) / early * 1e3, (t3 - t2) / (steps - early) * 1e3, t1 - t0, t3 - t1, c3 - c1, t3 - t0, c3 - c0)
        """;

    // Versions before 1.5 call max_iter n_iter. The first phase has 250 steps, whatever is asked for.
    private const string ScikitLearn = """
        import inspect, sys, time, numpy
        from sklearn.manifold import TSNE
        folder, output, given, threads, early, steps = sys.argv[1:]
        x = numpy.load(folder + "/x.npy").astype(numpy.float32)
        start = numpy.load(folder + "/start.npy").astype(numpy.float32)
        name = "max_iter" if "max_iter" in inspect.signature(TSNE.__init__).parameters else "n_iter"
        model = TSNE(n_components=2, perplexity=30, init=start, learning_rate="auto", early_exaggeration=12, method="barnes_hut",
                     n_jobs=int(threads), **{name: int(steps)})
        t0, c0 = time.perf_counter(), time.process_time()
        result = model.fit_transform(x)
        t1, c1 = time.perf_counter(), time.process_time()
        numpy.save(output, result.astype(numpy.float32))
        print("nan nan nan nan nan", t1 - t0, c1 - c0)
        """;

    private readonly string _python;
    private readonly string _script;

    private PythonTsne(string python, string script, string name)
    {
        _python = python;
        _script = script;
        Name = name;
    }

    public string Name { get; }

    public static PythonTsne? TryFindOpenTsne(out string why) => TryFind("openTSNE", OpenTsne, "openTSNE", "FFT", out why);

    public static PythonTsne? TryFindScikitLearn(out string why) => TryFind("sklearn", ScikitLearn, "scikit-learn", "Barnes-Hut", out why);

    public TsneRun Run(TsneProblem problem, TsneTask task)
    {
        string map = Path.Combine(problem.Folder, $"map-{Environment.ProcessId}.npy");
        int[] numbers = [task.Given ? 1 : 0, task.Threads, task.Early, task.Steps];
        (string text, _) = PeerProgram.Run(
            _python, ["-W", "ignore", "-c", _script, problem.Folder, map, .. numbers.Select(number => number.ToString(CultureInfo.InvariantCulture))], problem.Folder, task.Threads);
        double[] said = PeerProgram.LastLine(text);
        return new(said[2], said[0], said[1], new(said[3], said[4]), new(said[5], said[6]), PeerProgram.TakeMap(map));
    }

    private static PythonTsne? TryFind(string module, string script, string name, string method, out string why)
    {
        if (Python.Find(module, out why) is not { } python)
        {
            why = $"no Python here can import {module} ({why}); PYTHON names one, PYTHONPATH a folder of modules";
            return null;
        }

        string version = Python.Run(python, ["-W", "ignore", "-c", $"import {module}; print({module}.__version__)"], out _) ?? "";
        return new(python, script, $"{name} {version}, {method}");
    }
}
