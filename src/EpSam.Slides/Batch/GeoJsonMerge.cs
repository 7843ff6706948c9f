// The features of several files as one collection, each with its slide's name among its properties. Tokens are copied
// from file to file as they are: a slide's outlines are never in memory as a whole, and no number is written anew.
using System.Buffers;
using System.Text.Json;

namespace EpSam.Slides.Batch;

internal sealed class GeoJsonMerge : IDisposable
{
    const int FeatureDepth = 2, PropertyDepth = 3; // { "features": [ { "properties": …
    const int FlushAt = 1 << 16;

    readonly Utf8JsonWriter _json;
    byte[] _buffer = new byte[FlushAt];

    public GeoJsonMerge(Stream target)
    {
        _json = new Utf8JsonWriter(target, new JsonWriterOptions { SkipValidation = true });
        _json.WriteStartObject();
        _json.WriteString("type", "FeatureCollection");
        _json.WriteStartArray("features");
    }

    /// <summary>Ends the collection.</summary>
    public void Dispose()
    {
        _json.WriteEndArray();
        _json.WriteEndObject();
        _json.Dispose();
    }

    /// <summary>Adds the features of a slide's file.</summary>
    /// <exception cref="BatchException">It is no collection of features.</exception>
    public void Add(string path, string slide)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            Feature feature = new(_json, slide);
            Pump(file, feature);
            if (!feature.HasList) throw new BatchException($"{path} has no list of features");
        }
        catch (JsonException e)
        {
            throw new BatchException($"{path} is damaged: {e.Message} Delete the slide's folder, and it is done again",
                e);
        }
    }

    // A token at a time, the buffer filled again behind what is read; a token larger than it makes it grow.
    void Pump(Stream file, Feature feature)
    {
        JsonReaderState state = default;
        int kept = 0;
        for (bool isLast = false; !isLast;)
        {
            if (kept == _buffer.Length) Array.Resize(ref _buffer, 2 * _buffer.Length);
            int read = file.Read(_buffer, kept, _buffer.Length - kept);
            isLast = read == 0;
            Utf8JsonReader reader = new(_buffer.AsSpan(0, kept + read), isLast, state);
            while (reader.Read()) feature.Take(ref reader);
            state = reader.CurrentState;
            int used = (int)reader.BytesConsumed;
            _buffer.AsSpan(used, kept + read - used).CopyTo(_buffer);
            kept += read - used;
            if (_json.BytesPending > FlushAt) _json.Flush();
        }
    }

    // What is copied of a file: everything in the list of features.
    sealed class Feature(Utf8JsonWriter json, string slide)
    {
        bool _isNamed, _isProperties;

        public bool HasList { get; private set; }

        bool _isIn;

        public void Take(ref Utf8JsonReader reader)
        {
            if (!_isIn)
            {
                if (_isNamed && reader.CurrentDepth == 1 && reader.TokenType == JsonTokenType.StartArray)
                    _isIn = HasList = true;
                _isNamed = reader.CurrentDepth == 1 && reader.TokenType == JsonTokenType.PropertyName
                    && reader.ValueTextEquals("features");
                return;
            }
            if (reader.TokenType == JsonTokenType.EndArray && reader.CurrentDepth == 1)
            {
                _isIn = false;
                return;
            }
            Copy(ref reader);
        }

        void Copy(ref Utf8JsonReader reader)
        {
            if (_isProperties)
            {
                _isProperties = false;
                json.WriteStartObject();
                json.WriteString("slide", slide);
                if (reader.TokenType == JsonTokenType.StartObject) return;
                json.WriteEndObject(); // null is no object: its place is taken
                return;
            }
            switch (reader.TokenType)
            {
                case JsonTokenType.StartObject: json.WriteStartObject(); break;
                case JsonTokenType.EndObject: json.WriteEndObject(); break;
                case JsonTokenType.StartArray: json.WriteStartArray(); break;
                case JsonTokenType.EndArray: json.WriteEndArray(); break;
                case JsonTokenType.PropertyName:
                    _isProperties = reader.CurrentDepth == PropertyDepth && reader.ValueTextEquals("properties");
                    json.WritePropertyName(reader.GetString()!);
                    break;
                case JsonTokenType.String: json.WriteStringValue(reader.GetString()); break;
                default:
                    json.WriteRawValue(reader.HasValueSequence ? reader.ValueSequence.ToArray() : reader.ValueSpan,
                        skipInputValidation: true);
                    break;
            }
        }
    }
}
