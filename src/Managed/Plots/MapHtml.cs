using System.Net;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace EmbeddingKernels;

/// <summary>
/// Writes a map of labelled points as one HTML file to look at in a browser: zoom, pan, search, hover, and each point's nearest
/// neighbours of the original space.
/// </summary>
/// <remarks>
/// The file needs nothing besides itself and works from a disk; its content security policy forbids every network access
/// and every script but its own. Labels are data, whatever they contain. The same input gives the same file.
/// </remarks>
public static class MapHtml
{
    // Letters of all scripts as they are; <, >, & and quotes escaped, so that nothing in a label can end the script element.
    private static readonly JavaScriptEncoder Encoder = JavaScriptEncoder.Create(UnicodeRanges.All);

    /// <summary>The parts of the page's script, in the order in which they run.</summary>
    internal static readonly string[] Scripts = ["map-data.js", "map-dots.js", "map-view.js", "map-pictures.js", "map.js", "map-legend.js"];

    /// <summary>Writes the page to a file, which appears under its name only when it is whole.</summary>
    /// <param name="path">The file; one whose name ends in .gz is packed.</param>
    /// <param name="data">The points.</param>
    /// <param name="options">Heading and names; the defaults if null.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is null or empty, or something in <paramref name="data"/>
    /// is missing, not finite or of another length; nothing is written.</exception>
    public static void Write(string path, MapData data, MapOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        MapScene scene = MapScene.Create(data, options);
        AtomicFile.Write(path, stream => Write(stream, scene));
    }

    /// <summary>Writes the page to a stream as UTF-8; the stream stays open.</summary>
    /// <inheritdoc cref="Write(string, MapData, MapOptions?)"/>
    public static void Write(Stream stream, MapData data, MapOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Write(stream, MapScene.Create(data, options));
    }

    private static void Write(Stream stream, MapScene scene)
    {
        string style = Resource("map.css");
        string script = "(() => {\n'use strict';\n" + string.Concat(Scripts.Select(Resource)) + "})();\n";
        ReadOnlySpan<char> template = Resource("map.html");
        using StreamWriter writer = new(stream, new UTF8Encoding(false), 1 << 16, leaveOpen: true);

        // One pass over the template alone: what is filled in is never searched for further names.
        while (template.IndexOf("{{") is >= 0 and int open)
        {
            writer.Write(template[..open]);
            int close = template.IndexOf("}}");
            switch (template[(open + 2)..close])
            {
                case "title":
                    writer.Write(WebUtility.HtmlEncode(MapScene.Line(scene.Options.Title, 200)));
                    break;
                case "subtitle":
                    writer.Write(WebUtility.HtmlEncode(MapScene.Line(scene.Options.Subtitle, 1000)));
                    break;
                case "style":
                    writer.Write(style);
                    break;
                case "style-hash":
                    writer.Write(Hash(style));
                    break;
                case "script":
                    writer.Write(script);
                    break;
                case "script-hash":
                    writer.Write(Hash(script));
                    break;
                case "data":
                    writer.Flush();
                    WriteData(stream, scene);
                    break;
                default:
                    throw new InvalidOperationException($"map.html asks for '{template[(open + 2)..close]}', which there is not.");
            }

            template = template[(close + 2)..];
        }

        writer.Write(template);
    }

    private static void WriteData(Stream stream, MapScene scene)
    {
        MapData data = scene.Data;
        using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Encoder = Encoder });
        json.WriteStartObject();
        json.WriteString("title", MapScene.Line(scene.Options.Title, 200));
        json.WriteString("noun", MapScene.Line(scene.Options.Noun, 40));
        json.WriteString("nounPlural", MapScene.Line(scene.Options.NounPlural, 40));
        json.WriteString("weightName", MapScene.Line(scene.Options.WeightName, 40));
        json.WriteString("scoreName", MapScene.Line(scene.Options.ScoreName, 40));
        json.WriteNumber("width", (float)scene.Width);
        json.WriteNumber("height", (float)scene.Height);
        json.WriteStartArray("labels");
        for (int i = 0; scene.Named && i < data.Labels.Count; i++)
            json.WriteStringValue(data.Labels[i]);
        json.WriteEndArray();
        json.WriteBoolean("written", scene.Written);
        WriteArray(json, "anchors", [.. scene.Anchors.SelectMany(a => (float[])[a.X, a.Y])]);
        WriteArray(json, "x", scene.X);
        WriteArray(json, "y", scene.Y);
        WriteArray(json, "weights", data.Weights.Span);
        WriteArray(json, "colours", Narrow(scene.ColourOf));
        json.WriteStartArray("palette");
        for (int i = 0; i < scene.Colours; i++)
        {
            MapColour colour = MapColours.Of(i);
            json.WriteStartArray();
            json.WriteStringValue(colour.Light);
            json.WriteStringValue(colour.Dark);
            json.WriteStringValue(colour.LightText);
            json.WriteStringValue(colour.DarkText);
            json.WriteEndArray();
        }

        json.WriteEndArray();
        json.WriteStartArray("groups");
        foreach (string name in scene.GroupNames)
            json.WriteStringValue(MapScene.Line(name, 200));
        json.WriteEndArray();
        json.WriteNumber("k", scene.NeighbourCount);
        json.WriteBoolean("wide", scene.Count > ushort.MaxValue + 1);
        if (scene.Count > ushort.MaxValue + 1)
            WriteArray(json, "neighbours", data.Neighbours.Span);
        else
            WriteArray(json, "neighbours", Narrow(data.Neighbours.Span));
        WriteArray(json, "scores", data.NeighbourScores.Span);
        if (MapPictures.Create(data.Pictures) is { } pictures)
        {
            json.WriteStartObject("pictures");
            json.WriteNumber("side", pictures.Side);
            json.WriteNumber("columns", pictures.Columns);
            json.WriteBase64String("sizes", pictures.Sizes);
            json.WriteBase64String("sheet", pictures.Sheet);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static ushort[] Narrow(ReadOnlySpan<int> values)
    {
        ushort[] narrow = new ushort[values.Length];
        for (int i = 0; i < narrow.Length; i++)
            narrow[i] = (ushort)values[i];
        return narrow;
    }

    // Numbers as base64 of their little-endian bytes: a third of the size of digits, and read without parsing.
    private static void WriteArray<T>(Utf8JsonWriter json, string name, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(values);
        if (BitConverter.IsLittleEndian)
        {
            json.WriteBase64String(name, bytes);
            return;
        }

        byte[] swapped = bytes.ToArray();
        int size = bytes.Length / Math.Max(1, values.Length);
        for (int i = 0; i < swapped.Length; i += size)
            Array.Reverse(swapped, i, size);
        json.WriteBase64String(name, swapped);
    }

    private static void WriteArray<T>(Utf8JsonWriter json, string name, T[] values)
        where T : unmanaged => WriteArray(json, name, values.AsSpan());

    private static void WriteArray<T>(Utf8JsonWriter json, string name, Span<T> values)
        where T : unmanaged => WriteArray(json, name, (ReadOnlySpan<T>)values);

    private static string Hash(string content) => "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(content)));

    internal static string Resource(string name)
    {
        using Stream resource = Assembly.GetExecutingAssembly().GetManifestResourceStream($"EmbeddingKernels.Plots.{name}")
            ?? throw new InvalidOperationException($"The resource {name} is missing from the assembly.");
        using StreamReader reader = new(resource, Encoding.UTF8);
        return reader.ReadToEnd().ReplaceLineEndings("\n"); // as a browser reads it, or the hashes would differ
    }
}
