// The features of a collection one after the other, from a file of any length: of what is read there is no more in
// memory than one feature.
using System.Text.Json;

namespace EpSam.Imaging.Annotations;

/// <summary>Reads collections of features as <see cref="GeoJson"/> writes them.</summary>
public static class GeoJsonFeatures
{
    const int FeatureDepth = 2; // { "features": [ {
    const int AtFirst = 1 << 16;

    /// <summary>Its features, in order; read while they are gone through.</summary>
    /// <exception cref="AnnotationException">It is no such file, or it is damaged.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IEnumerable<Annotation> Read(string path)
    {
        using FileStream file = File.OpenRead(path);
        byte[] buffer = new byte[AtFirst];
        JsonReaderState state = default;
        int kept = 0, number = 0;
        for (bool isLast = false; !isLast;)
        {
            if (kept == buffer.Length) Array.Resize(ref buffer, checked(2 * kept)); // a feature longer than all of it
            int read = file.Read(buffer, kept, buffer.Length - kept), used = 0;
            isLast = read == 0;
            kept += read;
            while (Next(buffer.AsSpan(0, kept), isLast, path, ref used, ref state) is JsonDocument feature)
                using (feature) yield return GeoJson.Parse(feature.RootElement, $"{path}, feature {number++}");
            buffer.AsSpan(used, kept - used).CopyTo(buffer);
            kept -= used;
        }
    }

    // Null: what there is does not have all of another.
    static JsonDocument? Next(ReadOnlySpan<byte> json, bool isLast, string path, ref int used,
        ref JsonReaderState state)
    {
        try
        {
            Utf8JsonReader reader = new(json[used..], isLast, state);
            JsonDocument? feature = null;
            int from = used;
            while (feature is null && reader.Read())
            {
                bool isFeature = reader.CurrentDepth == FeatureDepth && reader.TokenType == JsonTokenType.StartObject;
                if (isFeature && !JsonDocument.TryParseValue(ref reader, out feature)) break;
                (used, state) = (from + (int)reader.BytesConsumed, reader.CurrentState);
            }
            return feature;
        }
        catch (JsonException e)
        {
            throw new AnnotationException($"{path}: not JSON that can be read: {e.Message}", e);
        }
    }
}
