using System.Collections;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace EpSam.Native.Models;

/// <summary>
/// A list of numbers that equals another with the same ones, so that records of sizes compare by value.
/// </summary>
[CollectionBuilder(typeof(IntList), nameof(Create))]
[JsonConverter(typeof(Converter))]
public sealed class IntList(IEnumerable<int> items) : IReadOnlyList<int>, IEquatable<IntList>
{
    readonly int[] _items = [.. items];

    /// <summary>From numbers, as collection expressions have them.</summary>
    public static IntList Create(ReadOnlySpan<int> items) => new(items.ToArray());

    /// <inheritdoc/>
    public int this[int index] => _items[index];

    /// <inheritdoc/>
    public int Count => _items.Length;

    /// <inheritdoc/>
    public IEnumerator<int> GetEnumerator() => ((IEnumerable<int>)_items).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(IntList? other) => other is not null && _items.AsSpan().SequenceEqual(other._items);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as IntList);

    /// <inheritdoc/>
    public override int GetHashCode() => _items.Length;

    sealed class Converter : JsonConverter<IntList>
    {
        public override IntList Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
            new(JsonSerializer.Deserialize<int[]>(ref reader, options) ?? []);

        public override void Write(Utf8JsonWriter writer, IntList value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value._items, options);
    }
}
