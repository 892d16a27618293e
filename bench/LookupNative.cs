using System.Diagnostics;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// The C loops of <c>Native/lookup.c</c>, compiled by gcc for this processor into a temporary folder and loaded. They run on
/// the same memory as the kernels and, with more than one thread, on the same pool with the same pieces of work.
/// </summary>
internal sealed unsafe class LookupNative : IDisposable
{
    private readonly DirectoryInfo _folder;
    private readonly nint _library;
    private readonly delegate* unmanaged<float*, long, int*, int*, long, long, float*, long, int, void> _bagSum;
    private readonly delegate* unmanaged<float*, long, int*, long, long, float*, long, int, void> _gather;

    private LookupNative(DirectoryInfo folder, string path)
    {
        _folder = folder;
        _library = NativeLibrary.Load(path);
        _bagSum = (delegate* unmanaged<float*, long, int*, int*, long, long, float*, long, int, void>)NativeLibrary.GetExport(_library, "lookup_bag_sum");
        _gather = (delegate* unmanaged<float*, long, int*, long, long, float*, long, int, void>)NativeLibrary.GetExport(_library, "lookup_gather");
    }

    /// <summary>Compiles and loads, or gives null and the reason.</summary>
    public static LookupNative? TryLoad(out string description)
    {
        if (FindSource() is not { } source)
        {
            description = "bench/Native/lookup.c was not found above the program's folder";
            return null;
        }

        DirectoryInfo folder = Directory.CreateTempSubdirectory("embedding-kernels-");
        string library = Path.Combine(folder.FullName, "lookup.so");
        string[] arguments = ["-O3", "-march=native", "-shared", "-fPIC", "-o", library, source];
        try
        {
            string version = Start("gcc", ["-dumpfullversion"]);
            Start("gcc", arguments);
            description = $"gcc {version.Trim()} -O3 -march=native";
            return new LookupNative(folder, library);
        }
        catch (Exception exception) when (exception is System.ComponentModel.Win32Exception or InvalidOperationException or DllNotFoundException)
        {
            folder.Delete(recursive: true);
            description = $"no C compiler to be used: {exception.Message}";
            return null;
        }
    }

    /// <summary>Sums all bags; <paramref name="offsets"/> holds the end of the last one, too.</summary>
    public void BagSum(MatrixView<float> table, int* indices, int* offsets, MatrixView<float> destination, PrefetchPlan plan, nint grain, WorkerPool pool)
    {
        BagBody body = new(_bagSum, table, indices, offsets, destination, plan);
        pool.For(destination.Rows, grain, ref body);
    }

    /// <summary>Copies all rows.</summary>
    public void Gather(MatrixView<float> table, int* indices, MatrixView<float> destination, PrefetchPlan plan, nint grain, WorkerPool pool)
    {
        GatherBody body = new(_gather, table, indices, destination, plan);
        pool.For(destination.Rows, grain, ref body);
    }

    public void Dispose()
    {
        NativeLibrary.Free(_library);
        _folder.Delete(recursive: true);
    }

    private static string? FindSource()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string path = Path.Combine(folder.FullName, "bench", "Native", "lookup.c");
            if (File.Exists(path))
                return path;
        }

        return null;
    }

    private static string Start(string program, string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })
            ?? throw new InvalidOperationException($"{program} did not start.");
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} failed: {errors.Result}");
    }

    private readonly struct BagBody(
        delegate* unmanaged<float*, long, int*, int*, long, long, float*, long, int, void> function,
        MatrixView<float> table,
        int* indices,
        int* offsets,
        MatrixView<float> destination,
        PrefetchPlan plan) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end) =>
            function(table.Data, table.Columns, indices, offsets, start, end, destination.Data, plan.Distance, (int)plan.Target);
    }

    private readonly struct GatherBody(
        delegate* unmanaged<float*, long, int*, long, long, float*, long, int, void> function,
        MatrixView<float> table,
        int* indices,
        MatrixView<float> destination,
        PrefetchPlan plan) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end) =>
            function(table.Data, table.Columns, indices, start, end, destination.Data, plan.Distance, (int)plan.Target);
    }
}
