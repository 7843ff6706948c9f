// Another start than the reference's for a SAM that has learnt nothing. From random numbers a mask decoder is slow
// to take notice of where its points are: queries and keys are projected by matrices that have nothing to do with each
// other, and positions drown in what else tokens are made of. Here, in every attention of
// the decoder,
//   keys begin with the queries' projection: what lies at the same place matches, since a position's dot product with
//     another falls with their distance (prompt_encoder.py: sines and cosines of random frequencies);
//   both are enlarged until a match outweighs the rest, while labels, tokens and the image's embedding begin smaller;
//   where the image asks tokens, the queries' bias is against the label of points: a place without a point near it
//     turns to the tokens that have no place.
// So the image's stream tells from the first step where points are. All else is as it was, and all of it is trained.
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>Parameters of an untrained model, changed so that a mask decoder learns to use its points soon.</summary>
/// <param name="random">The model, as the reference starts.</param>
/// <param name="config">Its sizes.</param>
public sealed class LocalStart(IParameterSource random, SamConfig config) : IParameterSource
{
    const double Match = 10; // what is added to the logit of an attention by the same position
    const float Threshold = 0.83f; // of Match's scale: what the label of a point takes away from it
    const float Token = 0.5f, NoMask = 0.1f, Image = 0.3f, Stream = 0.5f;
    const float Frequency = 0.75f; // so that a match reaches a tenth of the image's side
    const string Decoder = "mask_decoder.transformer.", Query = ".q_proj.", Key = ".k_proj.";

    /// <inheritdoc/>
    public IEnumerable<string> Names => random.Names;

    /// <inheritdoc/>
    public bool TryGetShape(string name, out Shape shape) => random.TryGetShape(name, out shape);

    /// <inheritdoc/>
    public void Read(string name, Span<float> values)
    {
        bool isAttention = name.StartsWith(Decoder, StringComparison.Ordinal)
            && (name.Contains(Query, StringComparison.Ordinal) || name.Contains(Key, StringComparison.Ordinal));
        if (!isAttention)
        {
            random.Read(name, values);
            float scale = ScaleOf(name);
            foreach (ref float value in values) value *= scale;
        }
        else if (name.EndsWith(".weight", StringComparison.Ordinal))
            Projection(name.Replace(Key, Query, StringComparison.Ordinal), values);
        else if (name.Contains("image_to_token" + Query, StringComparison.Ordinal)) AgainstLabel(name, values);
        else values.Clear();
    }

    static float ScaleOf(string name) => name switch
    {
        _ when name.Contains("point_embeddings") || name.Contains("not_a_point_embed") => Token,
        _ when name.Contains("iou_token") || name.Contains("mask_tokens") => Token,
        _ when name.Contains("no_mask_embed") => NoMask,
        _ when name.EndsWith("positional_encoding_gaussian_matrix") => Frequency,
        "image_encoder.neck.3.weight" => Image, // the last norm
        _ when name.StartsWith(Decoder, StringComparison.Ordinal) && name.EndsWith("norm3.weight") => Stream,
        _ => 1,
    };

    // A position's square is C/2, and U(±1/sqrt C) leaves a third of a C-th of it in each of a head's rows: a match
    // makes a logit of sqrt(size) / 6, times the square of what the projection is enlarged by.
    void Projection(string name, Span<float> values)
    {
        random.Read(name, values);
        random.TryGetShape(name, out Shape shape);
        double size = (double)shape[0] / config.DecoderHeads;
        float gain = (float)Math.Sqrt(Match * 6 / Math.Sqrt(size));
        foreach (ref float value in values) value *= gain;
    }

    void AgainstLabel(string name, Span<float> values)
    {
        const string Label = "prompt_encoder.point_embeddings.1.weight"; // points of the object
        string projection = name.Replace(".bias", ".weight", StringComparison.Ordinal);
        random.TryGetShape(projection, out Shape shape);
        int columns = (int)shape[1];
        float[] weights = new float[shape.Count], label = new float[columns];
        Projection(projection, weights);
        Read(Label, label);
        for (int row = 0; row < values.Length; row++)
        {
            double sum = 0;
            for (int i = 0; i < columns; i++) sum += (double)weights[row * columns + i] * label[i];
            values[row] = (float)(-Threshold * sum);
        }
    }
}
