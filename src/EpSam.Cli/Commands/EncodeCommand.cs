// epsam encode: what SAM's image encoder makes of images, saved for prompts to come (epsam segment --embedding).
using System.CommandLine;
using EpSam.Native.Models.Sam;

namespace EpSam.Cli.Commands;

internal static class EncodeCommand
{
    const string Ending = ".safetensors";

    static readonly Argument<string[]> Images = new("IMAGE")
    {
        Arity = ArgumentArity.OneOrMore, Description = "PNG, JPEG, TIFF or WebP; a folder means its images",
    };
    static readonly Option<string> Out = new("--out")
    {
        HelpName = "E.safetensors|DIR", Required = true,
        Description = "the file, or for several images the folder, one file for each image",
    };

    public static Command Create()
    {
        Command command = new("encode", "Encode images with SAM's image encoder and save the embeddings.")
        {
            Images, Out,
        };
        SamFlags.AddTo(command);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        SamFlags flags = SamFlags.Read(parsed);
        InputImage[] images = ImageList.Of(parsed.GetRequiredValue(Images));
        string target = parsed.GetRequiredValue(Out);
        bool isFile = target.EndsWith(Ending, StringComparison.OrdinalIgnoreCase);
        if (isFile && images.Length > 1)
            throw UserError.Usage($"--out {target}: {images.Length} images need a folder, not one file");
        if (isFile) OutputFiles.RequireWritable(target);
        else if (File.Exists(target))
            throw new UserError($"--out {target} is a file; expected a folder or a name that ends with {Ending}");
        // one prompt is the least a model is planned for
        SamOptions options = new() { PromptsPerPass = 1, MaxPoints = 1, ImagesPerPass = 1 };
        return SamRun.Execute(parsed, flags, images, options, (run, image, pixels) =>
        {
            SamEmbedding embedding;
            using (run.Reporter.Begin(Path.GetFileName(image.Path), 1, "image"))
                embedding = new SamPredictor(run.Model).Encode(pixels.Pixels, pixels.Height, pixels.Width, run.Cancel);
            if (!isFile) Directory.CreateDirectory(target);
            string path = isFile ? target : Path.Combine(target, image.Name + Ending);
            using (OutputFiles.Saving(path)) embedding.Save(path);
            return (path, null);
        });
    }
}
